// The lock of all modules: the standard library's; under the thread sanitizer one whose order that sees.

#if CAKED_THREADS
    import Glibc

    /// `Synchronization.Mutex` over a POSIX mutex, for `make test-threads` alone.
    ///
    /// The standard library's waits on a futex in a library that is not instrumented, so that the sanitizer takes
    /// everything behind it for a race. Unchecked: the value is reached under the lock only.
    @safe public struct Mutex<Value: ~Copyable>: ~Copyable, @unchecked Sendable {
        // POSIX wants the mutex at a fixed address for its whole life.
        private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        private let value = UnsafeMutablePointer<Value>.allocate(capacity: 1)

        /// A lock around a value.
        public init(_ initial: consuming sending Value) {
            unsafe pthread_mutex_init(mutex, nil)
            unsafe value.initialize(to: initial)
        }

        deinit {
            unsafe value.deinitialize(count: 1)
            unsafe value.deallocate()
            unsafe pthread_mutex_destroy(mutex)
            unsafe mutex.deallocate()
        }

        /// Runs `body` with the value while no other thread has it.
        public borrowing func withLock<Result: ~Copyable, Failure: Error>(
            _ body: (inout sending Value) throws(Failure) -> sending Result
        ) throws(Failure) -> sending Result {
            unsafe pthread_mutex_lock(mutex)
            defer { unsafe pthread_mutex_unlock(mutex) }
            return try unsafe body(&value.pointee)
        }
    }
#else
    @_exported import struct Synchronization.Mutex
#endif
