# What U-Boot runs: choose a slot, load its kernel, start it. Made into boot.scr by scripts/image, which puts the
# board's numbers in for the words between @ signs (board/BOARD/meta, board/common/layout).
#
# Slot state: two copies of 512 bytes in the gap before partition 1, in U-Boot's own environment format (CRC-32, then
# key=value). good = the committed slot, trial = a slot on probation, left = how often it may still be tried. Only a trial
# slot spends attempts; the committed slot always boots, and nothing is written for it.
#
# A slot is a squashfs with a boot area behind it: one block that says how many blocks follow (with a CRC of its own), then
# kernel, ramdisk and device trees, each in U-Boot's legacy format with a CRC. What does not check out is not started.

setenv io ${devtype}
${devtype} dev ${devnum}

setenv good
setenv trial
setenv left 0
setenv state_read 0
for sector in @STATE_0@ @STATE_1@; do
  if test ${state_read} = 0; then
    if ${io} read @BUFFER@ ${sector} 1; then
      if env import -c @BUFFER@ 0x200 good trial left; then setenv state_read 1; fi
    fi
  fi
done
if test "${good}" != "B"; then setenv good A; fi
if test "${trial}" != "A" && test "${trial}" != "B"; then setenv trial none; fi
if test "${left}" = ""; then setenv left 0; fi

# Further words for the kernel, if somebody put a file there: one line, tombolo_arguments=...
setenv tombolo_arguments
if test -e ${devtype} ${devnum}:1 kernel-arguments.txt; then
  if load ${devtype} ${devnum}:1 @BUFFER@ kernel-arguments.txt; then env import -t -r @BUFFER@ ${filesize} tombolo_arguments; fi
fi
@BOARD_SCRIPT@
# Leaves the addresses in ramdisk_at and tree_at; fails if anything of the slot is damaged.
setenv load_slot '
  setenv loaded 0; setenv start @SLOT_A@; setenv magic none;
  if test ${slot} = B; then setenv start @SLOT_B@; fi;
  if ${io} read @BUFFER@ ${start} 1; then
    setexpr.l magic *@BUFFER@;
    setexpr at @BUFFER@ + 28; setexpr.l used *${at};
  fi;
  if test "${magic}" = "73717368"; then
    setexpr used ${used} + fff; setexpr used ${used} / 1000; setexpr used ${used} * 8;
    setexpr area ${start} + ${used};
    setenv kernel_blocks;
    if ${io} read @BUFFER@ ${area} 1 && env import -c @BUFFER@ 0x200 kernel_blocks ramdisk_blocks tree_blocks trees; then
      setexpr at ${area} + 8;
      if ${io} read @STAGE@ ${at} ${kernel_blocks}; then
        setexpr at ${at} + ${kernel_blocks};
        setenv ramdisk_at -;
        if test "${ramdisk_blocks}" != "0"; then
          if ${io} read @RAMDISK@ ${at} ${ramdisk_blocks} && iminfo @RAMDISK@; then setenv ramdisk_at @RAMDISK@; else setenv ramdisk_at; fi;
        fi;
        if test "${ramdisk_at}" != ""; then
          setexpr at ${at} + ${ramdisk_blocks};
          run load_tree;
        fi;
      fi;
    fi;
  fi'

# The slot brings its device trees, 64 KiB for each, in the order of the list; where the machine brings its own, the LED is added.
setenv load_tree '
  setenv tree_at;
  if test "${tree_blocks}" = "0"; then
    run own_tree; setenv loaded 1;
  else
    if ${io} read @DEVICE_TREES@ ${at} ${tree_blocks} && iminfo @DEVICE_TREES@; then
      setexpr next @DEVICE_TREES@ + 40;
      for tree in ${trees}; do
        if test "broadcom/${tree}.dtb" = "${fdtfile}"; then setenv tree_at ${next}; fi;
        setexpr next ${next} + 10000;
      done;
      if test "${tree_at}" = ""; then echo "tombolo: slot ${slot} knows no ${fdtfile}"; setenv tree_at ${fdtcontroladdr}; fi;
      setenv loaded 1;
    fi;
  fi'

setenv own_tree '
  fdt addr ${fdtcontroladdr}; fdt move ${fdtcontroladdr} @DEVICE_TREES@ 0x100000;
  setenv tree_at @DEVICE_TREES@;
  if fdt get value controller @LED_CONTROLLER@ phandle; then
    fdt mknode / tombolo-leds; fdt set /tombolo-leds compatible gpio-leds;
    fdt mknode /tombolo-leds status;
    fdt set /tombolo-leds/status label tombolo:status;
    fdt set /tombolo-leds/status gpios <${controller} @LED_LINE@ @LED_ACTIVE_LOW@>;
    fdt set /tombolo-leds/status default-state on;
    fdt set /tombolo-leds/status linux,default-trigger pattern;
    fdt set /tombolo-leds/status led-pattern <1 100 1 0 0 100 0 0>;
  fi'

setenv boot_slot '
  setenv partition 2; if test ${slot} = B; then setenv partition 3; fi;
  echo "tombolo: slot ${slot}, trial ${is_trial} (good ${good}, trial ${trial}, left ${left})";
  run load_slot;
  if test ${loaded} = 1; then
    setenv bootargs "console=@KERNEL_CONSOLE@ root=PARTUUID=@DISK_SIGNATURE@-0${partition} rootfstype=squashfs ro rootwait tombolo.slot=${slot} tombolo.trial=${is_trial} rauc.slot=${slot} panic=5 @KERNEL_ARGUMENTS@ ${tombolo_arguments}";
    bootm @STAGE@ ${ramdisk_at} ${tree_at};
  fi;
  echo "tombolo: slot ${slot} cannot be started"'

setenv is_trial 0
if test "${trial}" != "none" && test ${left} -gt 0; then
  setexpr left ${left} - 1
  if env export -c -s 0x200 @BUFFER@ good trial left; then
    ${io} write @BUFFER@ @STATE_0@ 1
    ${io} write @BUFFER@ @STATE_1@ 1
  fi
  setenv is_trial 1
  setenv slot ${trial}
  run boot_slot
fi

setenv is_trial 0
setenv slot ${good}
run boot_slot

# Better the other slot than none.
if test ${good} = A; then setenv slot B; else setenv slot A; fi
run boot_slot

echo "tombolo: neither slot can be started; next attempt in 10 s"
sleep 10
reset
