// What the service sees of the file system: what its user may read, without what its unit hides.

import Glibc

/// Whose eyes a configuration is checked with.
struct ServiceView {
    /// The user of systemd/caked.service.
    static let user = "caked"
    /// Folders that the unit hides, by the setting that hides them.
    private static let hidden = [
        "ProtectHome": ["/home", "/root", "/run/user"], "PrivateTmp": ["/tmp", "/var/tmp"],
    ]
    /// An administrator's own lines of the unit; a drop-in may show what the unit hides.
    private static let dropIns = "/etc/systemd/system/caked.service.d"
    private static let maxDropIns = 64

    private let isService: Bool
    private let folders: [String]

    /// The caller's own eyes.
    static let own = ServiceView(isService: false, folders: [])

    /// The service's, with the drop-ins that are installed.
    static func ofService() -> ServiceView { ServiceView(isService: true, folders: folders(shownBy: dropInLines())) }

    private init(isService: Bool, folders: [String]) { (self.isService, self.folders) = (isService, folders) }

    /// Whether the service's user is there.
    static var isInstalled: Bool { unsafe getpwnam(user) != nil }

    /// Whether the process runs as the service's user.
    static var isCaller: Bool { unsafe getpwnam(user).map { unsafe $0.pointee.pw_uid == geteuid() } ?? false }

    /// Makes the process the service's user for good; what there is to say of it.
    func assume() -> String? {
        guard isService, let entry = unsafe getpwnam(Self.user) else { return nil }
        let (group, user) = unsafe (entry.pointee.pw_gid, entry.pointee.pw_uid)
        guard unsafe initgroups(Self.user, group) == 0, setgid(group) == 0, setuid(user) == 0 else {
            return "this process cannot become the user \(Self.user): files are looked at as who calls it"
        }
        return "files are looked at as the user \(Self.user), as the service does"
    }

    /// The hidden folder that one of the forms of a path lies in, if one does.
    func hiding(_ paths: String...) -> String? {
        folders.first { folder in paths.contains { $0 == folder || $0.hasPrefix(folder + "/") } }
    }

    /// What to do about a path in a hidden folder.
    static func mend(_ folder: String) -> String {
        """
        the unit hides \(folder) from the daemon (ProtectHome and PrivateTmp in caked.service); put it below /srv or \
        /var/lib/caked, or show it with BindReadOnlyPaths= in `systemctl edit caked`
        """
    }

    /// The hidden folders that are left once `lines` of drop-ins have been read.
    private static func folders(shownBy lines: [String]) -> [String] {
        var folders = hidden
        for line in lines {
            let parts = line.split(separator: "=", maxSplits: 1).map { $0.trimmingSpaces() }
            guard parts.count == 2 else { continue }
            switch (parts[0], parts[1]) {
            case ("ProtectHome", "no"), ("ProtectHome", "false"), ("ProtectHome", "0"), ("ProtectHome", "read-only"),
                ("PrivateTmp", "no"), ("PrivateTmp", "false"), ("PrivateTmp", "0"):
                folders[parts[0]] = []
            // What exactly it shows the unit's start tells.
            case ("BindReadOnlyPaths", _), ("BindPaths", _): folders = [:]
            default: break
            }
        }
        return folders.values.flatMap { $0 }.sorted()
    }

    private static func dropInLines() -> [String] {
        guard let directory = unsafe opendir(dropIns) else { return [] }
        defer { unsafe closedir(directory) }
        var names: [String] = []
        while names.count < maxDropIns, let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasSuffix(".conf") { names.append(name) }
        }
        return names.sorted().flatMap { name in
            let text = try? ConfigurationSources.read(dropIns + "/" + name)
            return (text ?? "").split(whereSeparator: \.isNewline).map(String.init)
        }
    }
}

extension Substring {
    fileprivate func trimmingSpaces() -> String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
