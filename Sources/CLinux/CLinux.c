// What cannot be inline: the process's one handler for pages of a map that are gone. Compiling this also checks the header.

#define _GNU_SOURCE
#include "CLinux.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

// A model has at most a thousand parts, and there is one store.
#define MAXIMUM_FILES 1024

static struct {
    const char *path;
    int64_t bytes;
} files[MAXIMUM_FILES];
static atomic_int file_count;
static atomic_flag ending = ATOMIC_FLAG_INIT;
static struct sigaction earlier;
static int exit_status;
static const char *line_start = "";

void caked_watch_mapped_file(const char *path, int64_t bytes) {
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&mutex);
    int count = atomic_load(&file_count);
    const char *copy = count < MAXIMUM_FILES ? strdup(path) : NULL;
    if (copy != NULL) {
        files[count].path = copy;
        files[count].bytes = bytes;
        atomic_store(&file_count, count + 1);
    }
    pthread_mutex_unlock(&mutex);
}

static void append(char *line, size_t capacity, const char *text) {
    strncat(line, text, capacity - strlen(line) - 1);
}

// Only calls that a handler may make (signal-safety(7)): stat, write, _exit.
static void end_on_lost_page(int signal_number, siginfo_t *info, void *context) {
    (void)context;
    if (info->si_code != BUS_ADRERR) {
        // Not a page that a file lost: the handler before this one has it when the instruction is run again.
        sigaction(signal_number, &earlier, NULL);
        return;
    }
    // Every thread that computes meets the same hole: one line is enough.
    if (atomic_flag_test_and_set(&ending)) {
        for (;;) pause();
    }
    char line[8192] = "";
    append(line, sizeof(line), line_start);
    const char *lost = NULL;
    int count = atomic_load(&file_count);
    for (int index = 0; index < count && lost == NULL; index++) {
        struct stat status;
        if (stat(files[index].path, &status) != 0 || status.st_size < files[index].bytes) lost = files[index].path;
    }
    append(line, sizeof(line), lost != NULL ? lost : "a file that caked has mapped");
    append(line, sizeof(line),
           lost != NULL ? " was cut short while caked had it mapped; caked ends, and needs the whole file to start again\n"
                        : " was cut short, or its disk cannot be read; caked ends\n");
    if (write(STDERR_FILENO, line, strlen(line)) < 0) { /* nobody to tell */
    }
    _exit(exit_status);
}

void caked_end_on_lost_pages(const char *start, int status) {
    line_start = strdup(start);
    if (line_start == NULL) line_start = "";
    exit_status = status;
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = end_on_lost_page;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &earlier);
}
