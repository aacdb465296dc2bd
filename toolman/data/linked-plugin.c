/* GCC's LTO plugin, linked into ld, ar and nm.

   A static program cannot dlopen a shared library, and these programs are
   static.  They ask these functions instead of libc's, and the one plugin
   that they find is the one compiled in here: to open any file that is there
   and is called liblto_plugin.so means this plugin.  lto-plugin.c comes from
   GCC's source.

   It is never unloaded.  ar and nm load it for every object anew; the only
   thing that it remembers of those before is a list that they never ask for. */

#include "lto-plugin.c"

#define PLUGIN "liblto_plugin.so"

static const char *complaint;

void *dlopen (const char *, int);
void *dlsym (void *, const char *);
int dlclose (void *);
char *dlerror (void);

void *
dlopen (const char *file, int mode ATTRIBUTE_UNUSED)
{
  static char handle;
  const char *slash = strrchr (file, '/');

  if (strcmp (slash ? slash + 1 : file, PLUGIN) != 0)
    complaint = "this static program has no plugin but " PLUGIN;
  else if (access (file, R_OK) != 0)
    complaint = strerror (errno);
  else
    return &handle;
  return NULL;
}

void *
dlsym (void *handle ATTRIBUTE_UNUSED, const char *name)
{
  if (strcmp (name, "onload") == 0)
    return (void *) onload;
  complaint = "no such symbol";
  return NULL;
}

int
dlclose (void *handle ATTRIBUTE_UNUSED)
{
  return 0;
}

char *
dlerror (void)
{
  return (char *) complaint;
}
