/* What programs get of a newer glibc's functions below the floor where glibc has them: only those
   that the compiler's own libraries need, or that headers put in the place of an older one. Each
   part behind a `member NAME VERSION` line becomes an object of libc_nonshared.a, hidden in what
   it is linked into, for floors below VERSION. What stands before the first belongs to all. */
#define _GNU_SOURCE 1
#include <stddef.h>

/* member stat 2.33 */
#include "xstat.h"
int stat(const char *path, struct stat *into) { return __xstat(STAT, path, into); }

/* member fstat 2.33 */
#include "xstat.h"
int fstat(int fd, struct stat *into) { return __fxstat(STAT, fd, into); }

/* member lstat 2.33 */
#include "xstat.h"
int lstat(const char *path, struct stat *into) { return __lxstat(STAT, path, into); }

/* member fstatat 2.33 */
#include "xstat.h"
int fstatat(int fd, const char *path, struct stat *into, int flags)
{
    return __fxstatat(STAT, fd, path, into, flags);
}

/* member stat64 2.33 */
#include "xstat.h"
int stat64(const char *path, struct stat64 *into) { return __xstat64(STAT, path, into); }

/* member fstat64 2.33 */
#include "xstat.h"
int fstat64(int fd, struct stat64 *into) { return __fxstat64(STAT, fd, into); }

/* member lstat64 2.33 */
#include "xstat.h"
int lstat64(const char *path, struct stat64 *into) { return __lxstat64(STAT, path, into); }

/* member fstatat64 2.33 */
#include "xstat.h"
int fstatat64(int fd, const char *path, struct stat64 *into, int flags)
{
    return __fxstatat64(STAT, fd, path, into, flags);
}

/* member mknod 2.33 */
#include "xstat.h"
int mknod(const char *path, mode_t mode, dev_t device)
{
    return __xmknod(MKNOD, path, mode, &device);
}

/* member mknodat 2.33 */
#include "xstat.h"
int mknodat(int fd, const char *path, mode_t mode, dev_t device)
{
    return __xmknodat(MKNOD, fd, path, mode, &device);
}

/* member fcntl64 2.28 */
/* In the place of fcntl where _FILE_OFFSET_BITS is 64; the commands differ by themselves. */
#include <fcntl.h>
#include <stdarg.h>
int fcntl64(int fd, int command, ...)
{
    va_list rest;
    va_start(rest, command);
    void *word = va_arg(rest, void *);
    va_end(rest);
    return fcntl(fd, command, word);
}

/* member __libc_single_threaded 2.32 */
/* libstdc++ counts references without atomics if it is true, so false is always right. */
char __libc_single_threaded = 0;

/* member getentropy 2.25 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
int getentropy(void *buffer, size_t size)
{
    if (size > 256) {
        errno = EIO;
        return -1;
    }
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    size_t have = 0;
    while (have < size) {
        ssize_t got = read(fd, (char *)buffer + have, size - have);
        if (got > 0)
            have += (size_t)got;
        else if (got == 0 || errno != EINTR)
            break;
    }
    close(fd);
    if (have == size)
        return 0;
    errno = EIO;
    return -1;
}

/* member arc4random 2.36 */
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
uint32_t arc4random(void)
{
    uint32_t word;
    if (getentropy(&word, sizeof word) != 0)
        abort(); /* as glibc's does: it must not fail */
    return word;
}

/* member __cxa_thread_atexit_impl 2.18 */
/* Destructors of thread_local objects: at the end of their thread, or in exit for its caller. A
   library that is unloaded before that is not held, as it would be by glibc's. */
#include <pthread.h>
#include <stdlib.h>
struct pending {
    void (*run)(void *);
    void *object;
    struct pending *next;
};
static __thread struct pending *all;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int lacking = 1;
static void run_all(void *unused)
{
    (void)unused;
    while (all) {
        struct pending *first = all;
        all = first->next;
        first->run(first->object);
        free(first);
    }
}
static void at_exit(void) { run_all(NULL); }
static void prepare(void) { lacking = pthread_key_create(&key, run_all) || atexit(at_exit); }
int __cxa_thread_atexit_impl(void (*run)(void *), void *object, void *library)
{
    (void)library;
    struct pending *added = malloc(sizeof *added);
    if (!added || pthread_once(&once, prepare) || lacking || pthread_setspecific(key, added)) {
        free(added);
        return -1;
    }
    *added = (struct pending){run, object, all};
    all = added;
    return 0;
}

/* member __isoc23_strtol 2.38 */
#include <stdlib.h>
long __isoc23_strtol(const char *text, char **end, int base) { return strtol(text, end, base); }

/* member __isoc23_strtoul 2.38 */
#include <stdlib.h>
unsigned long __isoc23_strtoul(const char *text, char **end, int base) { return strtoul(text, end, base); }

/* member __isoc23_strtoll 2.38 */
#include <stdlib.h>
long long __isoc23_strtoll(const char *text, char **end, int base) { return strtoll(text, end, base); }

/* member __isoc23_strtoull 2.38 */
#include <stdlib.h>
unsigned long long __isoc23_strtoull(const char *text, char **end, int base) { return strtoull(text, end, base); }

/* member _dl_find_object 2.35 */
/* The unwinder of GCC 12 and later asks it alone for the tables of exceptions. */
#include <dlfcn.h>
#include <link.h>
#include <stdint.h>
#ifdef DLFO_EH_SEGMENT_TYPE
struct search {
    uintptr_t pc;
    struct dl_find_object *found;
};
static int look(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)size;
    struct search *search = data;
    struct dl_find_object *found = search->found;
    const ElfW(Phdr) *tables = NULL, *end = info->dlpi_phdr + info->dlpi_phnum;
    uintptr_t low = UINTPTR_MAX, high = 0;
    int inside = 0;
    for (const ElfW(Phdr) *one = info->dlpi_phdr; one < end; one++) {
        uintptr_t from = info->dlpi_addr + one->p_vaddr, to = from + one->p_memsz;
        if (one->p_type == DLFO_EH_SEGMENT_TYPE)
            tables = one;
        if (one->p_type != PT_LOAD)
            continue;
        inside |= from <= search->pc && search->pc < to;
        low = from < low ? from : low;
        high = to > high ? to : high;
    }
    if (!inside)
        return 0;
    if (!tables)
        return -1;
    found->dlfo_flags = 0;
    found->dlfo_map_start = (void *)low;
    found->dlfo_map_end = (void *)high;
    found->dlfo_link_map = NULL;
    found->dlfo_eh_frame = (void *)(info->dlpi_addr + tables->p_vaddr);
#if DLFO_STRUCT_HAS_EH_DBASE
    found->dlfo_eh_dbase = NULL;
    for (const ElfW(Phdr) *one = info->dlpi_phdr; one < end; one++)
        if (one->p_type == PT_DYNAMIC)
            for (ElfW(Dyn) *row = (void *)(info->dlpi_addr + one->p_vaddr); row->d_tag; row++)
                if (row->d_tag == DT_PLTGOT)
                    found->dlfo_eh_dbase = (void *)row->d_un.d_ptr;
#endif
#if DLFO_STRUCT_HAS_EH_COUNT
    found->dlfo_eh_count = tables->p_memsz / 8;
#endif
    return 1;
}
int _dl_find_object(void *pc, struct dl_find_object *found)
{
    struct search search = {(uintptr_t)pc, found};
    return dl_iterate_phdr(look, &search) == 1 ? 0 : -1;
}
#endif
