/* What of glibc has changed its version, its library or its way of being called since 2.17. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <resolv.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int constructed;
static __thread int local = 7;

__attribute__((constructor)) static void up(void) { constructed += 1; }
__attribute__((constructor(101))) static void first(void) { constructed += 10; }
__attribute__((destructor)) static void down(void) { puts("destructor"); }
static void at_exit(void) { puts("atexit"); }

static void *work(void *into)
{
    *(int *)into = ++local;
    return into;
}

int main(int argc, char **argv)
{
    (void)argc;
    atexit(at_exit);
    pthread_t thread;
    int got = 0;
    void *back = NULL;
    if (pthread_create(&thread, NULL, work, &got) || pthread_join(thread, &back))
        return 1;
    struct stat by_name, by_fd, link;
    int fd = open(argv[0], O_RDONLY);
    if (stat(argv[0], &by_name) || fstat(fd, &by_fd) || lstat("/proc/self/exe", &link))
        return 2;
    void *library = dlopen("libm.so.6", RTLD_NOW);
    double (*cosine)(double) = library ? (double (*)(double))dlsym(library, "cos") : NULL;
    sem_t semaphore;
    timer_t timer;
    struct timespec now;
    struct sigevent event = {.sigev_notify = SIGEV_NONE};
    if (sem_init(&semaphore, 0, 1) || sem_wait(&semaphore) ||
        clock_gettime(CLOCK_MONOTONIC, &now) || timer_create(CLOCK_MONOTONIC, &event, &timer))
        return 3;
    const unsigned char name[] = "\3abc";
    char expanded[300];
    int taken = dn_expand(name, name + sizeof name, name, expanded, sizeof expanded);
    volatile double x = 2.5;
    printf("glibc %s, made for %d.%d\n", gnu_get_libc_version(), __GLIBC__, __GLIBC_MINOR__);
    printf("constructed %d, thread %d, here %d\n", constructed, got, local);
    printf("stat %d %d\n", by_name.st_size > 0 && by_name.st_size == by_fd.st_size,
           S_ISLNK(link.st_mode));
    printf("math %.3f %.3f %.3f %.1f\n", pow(x, x), exp(x), log(x), cosine ? cosine(0) : -1);
    printf("name %s %d, stack %d, environ %d\n", expanded, taken, (long)PTHREAD_STACK_MIN > 0,
           environ != NULL && strchr(environ[0], '=') != NULL);
    return 0;
}
