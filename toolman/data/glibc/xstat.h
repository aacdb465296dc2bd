/* glibc before 2.33 had no stat, but a __xstat that is told the layout of the structure. The
   numbers are the _STAT_VER and _MKNOD_VER of the headers of glibc 2.31. */
#include <sys/stat.h>
#if defined __i386__ || defined __arm__
#define STAT 3
#elif defined __x86_64__ || defined __powerpc64__ || defined __s390x__
#define STAT 1
#else
#define STAT 0
#endif
#if defined __i386__ || defined __arm__ || defined __powerpc64__
#define MKNOD 1
#else
#define MKNOD 0
#endif
int __xstat(int, const char *, struct stat *);
int __fxstat(int, int, struct stat *);
int __lxstat(int, const char *, struct stat *);
int __fxstatat(int, int, const char *, struct stat *, int);
int __xstat64(int, const char *, struct stat64 *);
int __fxstat64(int, int, struct stat64 *);
int __lxstat64(int, const char *, struct stat64 *);
int __fxstatat64(int, int, const char *, struct stat64 *, int);
int __xmknod(int, const char *, mode_t, dev_t *);
int __xmknodat(int, int, const char *, mode_t, dev_t *);
