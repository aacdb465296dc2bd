/* The crt1.o of glibc 2.34 and later names no function that runs the program's constructors: the
   newer libc runs them itself. An older one only calls the function that it is given, and so
   loses them. This stands between the two: crt1.o calls `__floor_start_main`. A newer libc takes
   the old version of __libc_start_main for that of an old program, and runs what it is given. */
typedef int Main(int, char **, char **);
typedef void Init(int, char **, char **);
#define HIDDEN __attribute__((visibility("hidden")))

extern HIDDEN Init *__init_array_start[], *__init_array_end[];
/* Newer platforms, as riscv64, have none. */
extern HIDDEN __attribute__((weak)) void _init(void);

static void construct(int argc, char **argv, char **environ)
{
    if (_init)
        _init();
    for (Init **one = __init_array_start; one != __init_array_end; one++)
        (*one)(argc, argv, environ);
}

#ifdef __powerpc64__
struct start {
    void *base;
    Main *main;
    Init *init;
    void (*fini)(void);
};
int __libc_start_main(int, char **, char **, void *, void (*)(void), struct start *, char **);
HIDDEN int __floor_start_main(int argc, char **argv, char **environ, void *auxiliary,
                              void (*end)(void), struct start *start, char **stack)
{
    struct start ours = {start->base, start->main, construct, 0};
    return __libc_start_main(argc, argv, environ, auxiliary, end, &ours, stack);
}
#else
int __libc_start_main(Main *, int, char **, Init *, void (*)(void), void (*)(void), void *);
HIDDEN int __floor_start_main(Main *main, int argc, char **argv, Init *init, void (*fini)(void),
                              void (*end)(void), void *stack)
{
    (void)init;
    return __libc_start_main(main, argc, argv, construct, fini, end, stack);
}
#endif
