// Six shades from nothing kept to everything kept, as colours and as characters.

/// How much of something survived, in six steps that every picture shares.
struct Shade: Equatable {
    /// 0 for nothing, 5 for three quarters and more.
    let level: Int

    /// The shade of a share from 0 to 1.
    init(_ share: Double) {
        level =
            switch share {
            case ...0: 0
            case ..<0.1: 1
            case ..<0.25: 2
            case ..<0.5: 3
            case ..<0.75: 4
            default: 5
            }
    }

    private init(level: Int) { self.level = level }

    static let all = (0...5).map { Shade(level: $0) }

    /// What the legend says.
    var meaning: String { ["nothing", "under 10 %", "10–25 %", "25–50 %", "50–75 %", "over 75 %"][level] }
    /// Behind text, and of a cell.
    var colour: String { ["#ffffff", "#e1edf8", "#bcd7ee", "#86b8e0", "#3f8dca", "#125a9e"][level] }
    /// Of text on that colour.
    var ink: String { level == 0 ? "#9a9a9a" : level > 3 ? "#ffffff" : "#1a1a1a" }
    /// Where there is no colour.
    var character: Character { Array(" ·░▒▓█")[level] }
    /// Background and ink as a terminal of 256 colours has them.
    var terminalColours: (background: Int, ink: Int)? {
        [nil, (254, 16), (153, 16), (110, 16), (68, 231), (25, 231)][level]
    }
}
