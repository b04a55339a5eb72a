// Another program, run without a shell: bounded in time, memory and output, in a folder of its own, gone with us.

import Glibc

/// A program to run on one file.
struct BoundedProgram {
    /// Seconds that a conversion may take: a book of a thousand pages takes some.
    static let maximumSeconds = 300
    /// Memory that it may have: some keep a whole document as a tree.
    static let maximumMemoryBytes = 4 << 30

    /// The program, found in `PATH`.
    var name: String
    /// The package of Debian that has it.
    var package: String
    var arguments: [String]
    var seconds = Self.maximumSeconds

    /// Runs the program with its standard output into a file.
    ///
    /// - Parameter folder: where it runs, where its temporary files go, and what it has for a home.
    /// - Throws: `.missingProgram`, `.failed` with its last words, or `.tookTooLong`.
    func run(in folder: TemporaryFolder, output: String, maximumBytes: Int) async throws(TextFileError) {
        guard let program = Self.find(name) else { throw .missingProgram(name, package: package) }
        let errors = folder.path + "/errors"
        let limits = [
            "/usr/bin/env", "--chdir=\(folder.path)", "/usr/bin/setpriv", "--no-new-privs", "--pdeathsig", "KILL", "--",
            "/usr/bin/prlimit",
            "--data=\(Self.maximumMemoryBytes)", "--cpu=\(seconds)", "--fsize=\(maximumBytes)", "--core=0", "--",
        ]
        let pid = try spawn(limits + [program] + arguments, folder: folder.path, output: output, errors: errors)
        let status = await wait(pid)
        guard let status else { throw .tookTooLong(name, seconds: seconds) }
        // Ended by itself with 0: the lower seven bits are the signal, the byte above them the status.
        guard status != 0 else { return }
        let signal = status & 0x7F
        if signal == SIGXCPU || (signal == SIGKILL && seconds > 0) { throw .tookTooLong(name, seconds: seconds) }
        // Some end by the signal of the limit, others say that the write failed.
        let written = (try? FileReading.size(of: output)) ?? 0
        if signal == SIGXFSZ || written >= maximumBytes { throw .tooLarge(maximumBytes: maximumBytes) }
        throw .failed(name, said: Self.lastLine(of: errors))
    }

    /// The status as waitpid(2) has it; nil when the time was over and the program was killed.
    private func wait(_ pid: pid_t) async -> CInt? {
        let end = ContinuousClock.now + .seconds(seconds)
        var status: CInt = 0
        while true {
            let ended = unsafe waitpid(pid, &status, WNOHANG)
            if ended == pid { return status }
            if ended < 0, errno != EINTR { return -1 }
            if ContinuousClock.now > end || Task.isCancelled {
                kill(-pid, SIGKILL)
                _ = unsafe waitpid(pid, &status, 0)
                return nil
            }
            try? await Task.sleep(for: .milliseconds(10))
        }
    }

    private func spawn(
        _ command: [String], folder: String, output: String, errors: String
    ) throws(TextFileError) -> pid_t {
        var (actions, attributes) = unsafe (posix_spawn_file_actions_t(), posix_spawnattr_t())
        unsafe posix_spawn_file_actions_init(&actions)
        unsafe posix_spawnattr_init(&attributes)
        defer {
            unsafe posix_spawn_file_actions_destroy(&actions)
            unsafe posix_spawnattr_destroy(&attributes)
        }
        let flags = O_WRONLY | O_CREAT | O_TRUNC
        unsafe posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output, flags, 0o600)
        unsafe posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors, flags, 0o600)
        // A group of its own, so that what it starts ends with it.
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
        unsafe posix_spawnattr_setpgroup(&attributes, 0)
        let environment = ["PATH=\(Self.path)", "HOME=\(folder)", "TMPDIR=\(folder)", "LANG=C.UTF-8"]
        let (argv, envp) = unsafe (Self.copy(command), Self.copy(environment))
        defer {
            unsafe (argv + envp).forEach { unsafe free($0) }
        }
        var pid: pid_t = 0
        let code = unsafe posix_spawn(&pid, command[0], &actions, &attributes, argv + [nil], envp + [nil])
        guard code == 0 else { throw .failed(name, said: TextFileError.message(code)) }
        return pid
    }

    private static func copy(_ texts: [String]) -> [UnsafeMutablePointer<CChar>?] {
        unsafe texts.map { unsafe strdup($0) }
    }

    private static let path = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"

    private static func find(_ name: String) -> String? {
        path.split(separator: ":").map { "\($0)/\(name)" }.first { unsafe access($0, X_OK) == 0 }
    }

    /// The last line that a program wrote, shortened.
    private static func lastLine(of file: String) -> String {
        let text = (try? FileReading.bytes(of: file, from: 0, count: 4096)) ?? []
        let lines = String(decoding: text, as: UTF8.self).split(whereSeparator: \.isNewline)
        return String((lines.last ?? "nothing").prefix(200))
    }
}
