#pragma once
#include <lmdb.h>
// statfs(2), which the Glibc overlay leaves out: LMDB must not be used on network file systems.
#include <sys/vfs.h>
