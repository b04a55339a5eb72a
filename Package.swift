// swift-tools-version: 6.2
import Foundation
import PackageDescription

let safe: [SwiftSetting] = [
    .strictMemorySafety(),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

// Borrowed views into the memory map are returned as spans; only this module needs the feature.
let lifetimes: [SwiftSetting] = safe + [.enableExperimentalFeature("Lifetimes")]

// Under the thread sanitizer locks are of a kind that it sees (`make test-threads`).
let threads: [SwiftSetting] =
    ProcessInfo.processInfo.environment["CAKED_THREADS"] == nil ? [] : [.define("CAKED_THREADS")]

// What is installed carries Swift's runtime (`make build`). Only the links of the three programs differ by it: what is
// compiled is the same, since the tests' own libraries do not come in a static form. So Foundation's parts are named here,
// which a module compiled for it would name itself.
let foundation = ["FoundationCollections", "FoundationICU", "FoundationCShims"].map { "-l_\($0)" }
let runtime: [LinkerSetting] =
    ProcessInfo.processInfo.environment["CAKED_STATIC"] == nil
    ? [] : [.unsafeFlags(["-static-stdlib", "-lCoreFoundation"] + foundation + ["-lstdc++"])]

// Kernels are optimised in every configuration: an unoptimised kernel makes each test minutes long.
let kernelFlags: [CSetting] = [.unsafeFlags(["-O3", "-fno-math-errno", "-ffp-contract=fast", "-Wall", "-Wextra"])]

let nio = [
    Target.Dependency.product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
    .product(name: "NIOHTTP1", package: "swift-nio"),
]

let package = Package(
    name: "caked",
    products: [
        .executable(name: "caked", targets: ["caked"]),
        .executable(name: "cakectl", targets: ["cakectl"]),
        .executable(name: "cakebench", targets: ["cakebench"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-async-algorithms", exact: "1.1.4"),
        .package(url: "https://github.com/apple/swift-collections", exact: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", exact: "1.35.2"),
        .package(url: "https://github.com/apple/swift-http-types", exact: "1.8.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", exact: "2.28.1", traits: []),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
    ],
    targets: [
        // L0: what C gives us
        .systemLibrary(name: "CLMDB", providers: [.apt(["liblmdb-dev"])]),
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .systemLibrary(name: "CXXHash", providers: [.apt(["libxxhash-dev"])]),
        .target(name: "CLinux"),
        .target(name: "CKernels", cSettings: kernelFlags),
        .target(name: "CLimits", cSettings: kernelFlags),

        // L1: one subject each; what client and daemon say to each other belongs to neither
        .target(name: "Locks", swiftSettings: safe + threads),
        .target(name: "API", swiftSettings: safe),
        .target(name: "LMDB", dependencies: ["Locks", "CLMDB"], swiftSettings: lifetimes),
        .target(name: "GGUF", swiftSettings: safe),
        .target(name: "Jinja", swiftSettings: safe),
        .target(
            name: "Tokenizers",
            dependencies: ["Jinja", .product(name: "HeapModule", package: "swift-collections")],
            swiftSettings: safe),
        .target(name: "CAKE", swiftSettings: safe),
        .target(name: "Systemd", swiftSettings: safe),
        .target(name: "Evaluation", swiftSettings: safe),
        .target(name: "Pictures", swiftSettings: safe),

        // L2: the model, and what it leaves on disk
        .target(
            name: "Transformer", dependencies: ["Locks", "GGUF", "CAKE", "CKernels", "COpenBLAS", "CLinux"],
            swiftSettings: safe),
        .target(name: "CacheStore", dependencies: ["Locks", "API", "LMDB", "CXXHash"], swiftSettings: safe),

        // L3: the engine, and what its callers see of it
        .target(
            name: "EngineInterface",
            dependencies: ["Locks", "API", .product(name: "DequeModule", package: "swift-collections")],
            swiftSettings: safe),
        .target(
            name: "Inference",
            dependencies: [
                "Locks", "API", "EngineInterface", "Transformer", "CacheStore", "Tokenizers", "Jinja", "GGUF", "CAKE",
                "CLinux",
                "CXXHash",
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: safe),

        // L4: the socket, from both ends
        .target(
            name: "HTTPAPI",
            dependencies: [
                "Locks", "API", "EngineInterface", "CLinux",
                .product(name: "AsyncAlgorithms", package: "swift-async-algorithms"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOExtras", package: "swift-nio-extras"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ] + nio,
            swiftSettings: safe),
        .target(name: "CakedClient", dependencies: ["Locks", "API"] + nio, swiftSettings: safe),
        .target(name: "TextFiles", dependencies: ["API", "CakedClient"], swiftSettings: safe),

        // L5: the programs
        .executableTarget(
            name: "caked",
            dependencies: [
                "API", "CAKE", "CLinux", "CacheStore", "EngineInterface", "HTTPAPI", "Inference", "Systemd",
                "Transformer",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: safe, linkerSettings: runtime),
        .executableTarget(
            name: "cakectl",
            dependencies: [
                "Locks", "API", "CLinux", "CakedClient", "TextFiles", "Pictures",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: safe, linkerSettings: runtime),
        .executableTarget(
            name: "cakebench",
            dependencies: [
                "API", "EngineInterface", "Inference", "Transformer", "CacheStore", "Tokenizers", "Jinja", "CAKE",
                "GGUF", "CKernels", "CLinux", "CLimits", "Evaluation", "Pictures",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: safe, linkerSettings: runtime),

        // Tests, a folder for each module; the integration tests run the real programs
        .testTarget(name: "APITests", dependencies: ["API"], swiftSettings: safe),
        .testTarget(name: "LMDBTests", dependencies: ["LMDB"], swiftSettings: safe),
        .testTarget(name: "GGUFTests", dependencies: ["GGUF"], swiftSettings: safe),
        .testTarget(name: "JinjaTests", dependencies: ["Jinja"], resources: [.copy("Facts")], swiftSettings: safe),
        .testTarget(name: "TokenizersTests", dependencies: ["Tokenizers", "Jinja", "GGUF"], swiftSettings: safe),
        .testTarget(name: "CAKETests", dependencies: ["CAKE"], resources: [.copy("Fixtures")], swiftSettings: safe),
        .testTarget(name: "CKernelsTests", dependencies: ["CKernels"], swiftSettings: safe),
        .testTarget(name: "EvaluationTests", dependencies: ["Evaluation"], swiftSettings: safe),
        .testTarget(name: "PicturesTests", dependencies: ["Pictures"], swiftSettings: safe),
        .testTarget(name: "SystemdTests", dependencies: ["Systemd"], swiftSettings: safe),
        .testTarget(name: "TransformerTests", dependencies: ["Transformer"], swiftSettings: safe),
        .testTarget(
            name: "CacheStoreTests", dependencies: ["API", "CacheStore", "LMDB", "storeprobe"], swiftSettings: safe),
        .testTarget(
            name: "InferenceTests",
            dependencies: [
                "Locks", "API", "EngineInterface", "Inference", "CacheStore", "Tokenizers", "Jinja", "Transformer",
                "CAKE",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: safe),
        .testTarget(
            name: "HTTPAPITests",
            dependencies: [
                "API", "EngineInterface", "HTTPAPI",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            resources: [.copy("Wire")], swiftSettings: safe),
        .testTarget(name: "CakedTests", dependencies: ["caked", "API"], swiftSettings: safe),
        .testTarget(name: "TextFilesTests", dependencies: ["API", "CakedClient", "TextFiles"], swiftSettings: safe),
        .testTarget(
            name: "CakedClientTests", dependencies: ["API", "CakedClient", "cakectl"] + nio, swiftSettings: safe),
        .target(
            name: "TestDaemon", dependencies: ["API", "CakedClient"], path: "Tests/TestDaemon", swiftSettings: safe),
        .testTarget(
            name: "IntegrationTests",
            dependencies: ["TestDaemon", "API", "CakedClient", "caked", "cakectl", "cakebench"],
            swiftSettings: safe),
        .target(name: "CFaults", path: "Tests/CFaults"),
        .executableTarget(
            name: "storeprobe", dependencies: ["CacheStore", "CFaults"], path: "Tests/StoreProbe", swiftSettings: safe),
        .testTarget(
            name: "CrashTests",
            dependencies: ["TestDaemon", "API", "CakedClient", "CacheStore", "caked", "cakectl", "storeprobe"],
            swiftSettings: safe),
    ]
)

// Fuzzers carry libFuzzer's own main loop and sanitizers, so ordinary builds leave them out.
if ProcessInfo.processInfo.environment["CAKED_FUZZ"] != nil {
    let sanitize: SwiftSetting = .unsafeFlags(["-sanitize=fuzzer,address"])
    let fuzzed = ["API", "GGUF", "Jinja", "Tokenizers", "LMDB", "CacheStore", "Inference"]
    for target in package.targets where fuzzed.contains(target.name) { target.swiftSettings?.append(sanitize) }
    func fuzzer(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
        .executableTarget(
            name: name, dependencies: ["FuzzDriver"] + dependencies, path: "Tests/Fuzz/\(name)",
            swiftSettings: safe + [sanitize, .unsafeFlags(["-parse-as-library"])],
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])])
    }
    package.targets += [
        .target(name: "FuzzDriver", path: "Tests/Fuzz/Driver", swiftSettings: safe),
        fuzzer("CanaryFuzz", []),
        fuzzer("GGUFFuzz", ["GGUF"]),
        fuzzer("TokenizerFuzz", ["Tokenizers"]),
        fuzzer("TemplateFuzz", ["Jinja"]),
        fuzzer("RecordFuzz", ["CacheStore"]),
        fuzzer("RequestFuzz", ["API"]),
        fuzzer("ExportFuzz", ["Inference", "CacheStore"]),
    ]
}
