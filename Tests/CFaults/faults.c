#define _GNU_SOURCE
#include "faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <lmdb.h>
#include <stdatomic.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_int count, at;
static enum faults_mode kind;

void faults_arm(int number, enum faults_mode mode) {
    kind = mode;
    atomic_store(&count, 0);
    atomic_store(&at, number);
}

int faults_count(void) { return atomic_load(&count); }

// Whether this call is the one.
static int strikes(void) { return atomic_fetch_add(&count, 1) + 1 == atomic_load(&at); }

static void end_if_asked(void) {
    if (kind == FAULTS_EXIT || kind == FAULTS_TORN) _exit(137);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite(int file, const void *bytes, size_t size, off_t offset) {
    if (!strikes()) return REAL(pwrite)(file, bytes, size, offset);
    if (kind == FAULTS_SHORT || kind == FAULTS_TORN) {
        // The meta page's record lies within a sector, which is written whole or not at all.
        ssize_t half = size < 512 ? 0 : REAL(pwrite)(file, bytes, size / 2, offset);
        end_if_asked();
        if (half > 0) return half;
    }
    end_if_asked();
    errno = EIO;
    return -1;
}

ssize_t writev(int file, const struct iovec *parts, int number) {
    if (!strikes()) return REAL(writev)(file, parts, number);
    if (kind == FAULTS_SHORT || kind == FAULTS_TORN) {
        ssize_t half = REAL(writev)(file, parts, (number + 1) / 2);
        end_if_asked();
        return half;
    }
    end_if_asked();
    errno = ENOSPC;
    return -1;
}

int fdatasync(int file) {
    if (!strikes()) return REAL(fdatasync)(file);
    end_if_asked();
    errno = EIO;
    return -1;
}

int fsync(int file) {
    if (!strikes()) return REAL(fsync)(file);
    end_if_asked();
    errno = EIO;
    return -1;
}

int rename(const char *old, const char *new) {
    if (!strikes()) return REAL(rename)(old, new);
    end_if_asked();
    errno = EIO;
    return -1;
}

int mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned int flags, MDB_txn **txn) {
    if ((flags & MDB_RDONLY) || !strikes()) return REAL(mdb_txn_begin)(env, parent, flags, txn);
    end_if_asked();
    return ENOMEM;
}

int mdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data, unsigned int flags) {
    if (!strikes()) return REAL(mdb_put)(txn, dbi, key, data, flags);
    end_if_asked();
    return MDB_MAP_FULL;
}

int mdb_del(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data) {
    if (!strikes()) return REAL(mdb_del)(txn, dbi, key, data);
    end_if_asked();
    return ENOMEM;
}

int mdb_cursor_del(MDB_cursor *cursor, unsigned int flags) {
    if (!strikes()) return REAL(mdb_cursor_del)(cursor, flags);
    end_if_asked();
    return ENOMEM;
}

int mdb_txn_commit(MDB_txn *txn) {
    if (!strikes()) return REAL(mdb_txn_commit)(txn);
    end_if_asked();
    mdb_txn_abort(txn);
    return EIO;
}
