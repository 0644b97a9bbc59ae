
# No real board has this serial number: this is QEMU, whose watchdog resets the machine the moment it is started.
if test "${serial#}" = "0000000000000000"; then setenv tombolo_arguments "module_blacklist=bcm2835_wdt ${tombolo_arguments}"; fi
