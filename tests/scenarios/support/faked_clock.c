/* Put before a real program by LD_PRELOAD: the system clock and what the kernel says of it come from a file, so that a
 * test can turn one process's clock without touching the machine's. The monotonic clocks stay as they are. A program
 * that sets the clock (chronyd) sets the file. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

/* As in faked_clock.rs. */
struct plan {
    int64_t offset_ns;     /* the faked clock less the real one */
    int64_t drift_ppb;     /* and this much more since `drift_from_ns` of the monotonic clock */
    int64_t drift_from_ns;
    int64_t synchronised;
    int64_t largest_us;
    int64_t estimated_us;
    int64_t leap;          /* 0, 1 insert, 2 delete */
    int64_t sets;          /* how often a program set it */
};

static volatile struct plan *plan;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("TOMBOLO_TEST_CLOCK");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *map = mmap(NULL, sizeof(struct plan), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (map != MAP_FAILED)
        plan = map;
}

static int64_t nanos(const struct timespec *time)
{
    return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

static int64_t machine(clockid_t which)
{
    struct timespec time;
    syscall(SYS_clock_gettime, which, &time);
    return nanos(&time);
}

static int64_t drifted(void)
{
    if (!plan->drift_ppb)
        return 0;
    return (int64_t)((__int128)(machine(CLOCK_MONOTONIC) - plan->drift_from_ns) * plan->drift_ppb / 1000000000);
}

static int64_t faked(void)
{
    return machine(CLOCK_REALTIME) + plan->offset_ns + drifted();
}

int clock_gettime(clockid_t which, struct timespec *time)
{
    if (!plan || (which != CLOCK_REALTIME && which != CLOCK_REALTIME_COARSE))
        return (int)syscall(SYS_clock_gettime, which, time);
    int64_t now = faked();
    time->tv_sec = now / 1000000000;
    time->tv_nsec = now % 1000000000;
    return 0;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return result;
}

time_t time(time_t *result)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result)
        *result = now.tv_sec;
    return now.tv_sec;
}

/* As the kernel: whoever sets the clock makes it unsynchronised. */
int clock_settime(clockid_t which, const struct timespec *time)
{
    if (!plan || which != CLOCK_REALTIME) {
        errno = EPERM;
        return -1;
    }
    plan->offset_ns += nanos(time) - faked();
    plan->synchronised = 0;
    plan->largest_us = plan->estimated_us = 16000000;
    plan->sets += 1;
    return 0;
}

int settimeofday(const struct timeval *time, const struct timezone *zone)
{
    (void)zone;
    if (!time)
        return 0;
    struct timespec to = { time->tv_sec, time->tv_usec * 1000 };
    return clock_settime(CLOCK_REALTIME, &to);
}

int adjtimex(struct timex *asked)
{
    static long frequency, tick = 10000;
    if (!plan)
        return (int)syscall(SYS_adjtimex, asked);
    unsigned modes = asked->modes;
    if (modes & ADJ_SETOFFSET) {
        int64_t fraction = asked->time.tv_usec * (modes & ADJ_NANO ? 1 : 1000);
        plan->offset_ns += (int64_t)asked->time.tv_sec * 1000000000 + fraction;
        plan->synchronised = 0;
        plan->sets += 1;
    }
    if (modes & ADJ_FREQUENCY)
        frequency = asked->freq;
    if (modes & ADJ_TICK)
        tick = asked->tick;
    if (modes & ADJ_MAXERROR)
        plan->largest_us = asked->maxerror;
    if (modes & ADJ_ESTERROR)
        plan->estimated_us = asked->esterror;
    if (modes & ADJ_STATUS) {
        plan->synchronised = !(asked->status & STA_UNSYNC);
        plan->leap = asked->status & STA_INS ? 1 : asked->status & STA_DEL ? 2 : 0;
    }
    int64_t now = faked();
    memset(asked, 0, sizeof *asked);
    asked->freq = frequency;
    asked->tick = tick;
    asked->precision = 1;
    asked->tolerance = 32768000;
    asked->maxerror = plan->largest_us;
    asked->esterror = plan->estimated_us;
    asked->status = (plan->synchronised ? STA_PLL : STA_UNSYNC) | (plan->leap == 1 ? STA_INS : 0)
        | (plan->leap == 2 ? STA_DEL : 0);
    asked->time.tv_sec = now / 1000000000;
    asked->time.tv_usec = now % 1000000000 / 1000;
    return plan->synchronised ? (int)plan->leap : TIME_ERROR;
}

int clock_adjtime(clockid_t which, struct timex *asked)
{
    (void)which;
    return adjtimex(asked);
}

int ntp_adjtime(struct timex *asked)
{
    return adjtimex(asked);
}
