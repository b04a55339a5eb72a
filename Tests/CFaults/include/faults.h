// Failing or ending the process at the n-th call of the store's write path: the calls of LMDB that change something,
// and the writes and syncs that LMDB makes. This target's functions stand before the libraries' own in the program that
// links it, so that the store itself carries nothing for tests.
#pragma once

enum faults_mode {
    FAULTS_FAIL,   // the call does nothing and fails
    FAULTS_SHORT,  // a write stops half-way, as on a full disk; other calls fail
    FAULTS_EXIT,   // the process ends before the call
    FAULTS_TORN,   // a write stops half-way and the process ends; otherwise before the call
};

// From now on the `at`-th call, counted from 1, fails once; 0 for none. The count starts again.
void faults_arm(int at, enum faults_mode mode);

// Calls since the last arming.
int faults_count(void);
