/* A process with musl that locks byte 2^30 of a file by the addon's build for glibc: what Node does on Alpine, without Node. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

/* The addon asks its host for it. */
int uv_translate_sys_error(int error) { return -error; }

int main(int count, char **words) {
  if (count != 3) return 2;
  void *addon = dlopen(words[1], RTLD_LAZY);
  if (addon == NULL) return puts(dlerror()), 2;
  int (*try_lock)(int, uint64_t, size_t, int) = dlsym(addon, "fs_ext__try_lock");
  if (try_lock == NULL) return puts(dlerror()), 2;
  int fd = open(words[2], O_RDWR | O_CREAT, 0600);
  if (fd < 0) return perror("open"), 2;
  /* FS_EXT_WRLOCK */
  puts(try_lock(fd, 1u << 30, 1, 2) == 0 ? "locked" : "held by another");
  fflush(stdout);
  pause();
}
