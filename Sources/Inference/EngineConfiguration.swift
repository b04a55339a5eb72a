// What the engine needs to know before it starts.

import API
import Transformer

/// The engine's settings, validated by whoever reads them from files and flags.
public struct EngineConfiguration: Equatable, Sendable {
    /// The GGUF file.
    public var modelPath: String
    /// The directory of the store; private to the daemon.
    public var stateDirectory: String
    /// Compute threads; 0: one for each CPU this process may run on.
    public var threads = 0
    /// The instruction set of the kernels by name, or "auto": the best of this processor.
    public var kernels = KernelSet.automatic
    /// Whether quantised weights are re-tiled in memory when the model is loaded, which makes products faster.
    public var repacking = Repacking.auto
    /// The chat template's name; nil: recognised from the model file.
    public var template: String?
    /// What the template is given beside the messages when a request does not say.
    public var templateArguments: [String: TemplateValue] = [:]
    /// How much is kept when a request does not say.
    public var defaultKeep = Keep.percent(10)
    /// The CAKE preset when a request does not say.
    public var defaultMethod = "cake-global"
    /// What observing may cost when a request does not say.
    public var defaultEffort = Effort.auto
    /// The row type when a request does not say.
    public var defaultRows = StoredRows.auto
    /// The recall that a budget chosen by the engine reaches, where one up to half of the entries does.
    public var checkTarget = 0.9
    /// The recall below which no document is stored as it is; 0: none, and documents are checked only when asked.
    public var checkFloor = 0.0
    /// What becomes of a document below the floor.
    public var belowFloor = BelowFloor.refuse
    /// Bytes of address space for the store: the most it can ever hold.
    public var storeMapBytes = 64 << 30
    /// The most that documents may take in the store; 0: as much as the map holds.
    public var quotaBytes = 0
    /// How much of that one user may hold.
    public var userShare = UserShare.equal
    /// Seconds for which it is remembered why a document is gone.
    public var tombstoneSeconds = 7 * 86_400.0
    /// Disk space that is left to others.
    public var minimumFreeDiskBytes = 64 << 20
    /// The share of its first budget below which a document is not shrunk for others; 1: none is shrunk.
    public var shrinkFloor = 0.25
    /// Whether the store gives free space back to the disk when it is opened and that pays.
    public var compactsAtStart = true
    /// Documents that may wait to be read; the next is told to come back (429).
    public var maxQueuedDocuments = 16
    /// Questions that may wait.
    public var maxQueuedQuestions = 64
    /// Questions answered at the same time, their products batched; 0: as many as memory allows, from 4 to 16.
    public var maxRunningQuestions = 0
    /// Bytes of the kept tails of ended conversations; 0: none is kept; nil: a share of the memory.
    public var tailBytes: Int?
    /// The most tokens of one answer; also the default.
    public var maxGeneratedTokens = 1024

    /// Seconds of reading between two checkpoints of a document; 0: none.
    public var checkpointSeconds = 30.0
    /// The most seconds an answer may take once it has begun: so long its document's pages cannot be used again.
    public var maxAnswerSeconds = 600.0

    /// Settings with the defaults above.
    public init(modelPath: String, stateDirectory: String) {
        self.modelPath = modelPath
        self.stateDirectory = stateDirectory
    }
}
