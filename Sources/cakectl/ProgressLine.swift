// The one line on standard error that shows how far the daemon is.
import API
import CakedClient
import Locks

/// Redrawn in place, on a terminal only.
final class ProgressLine: Sendable {
    static let shared = ProgressLine()

    private static let barWidth = 24
    /// Often enough to look alive.
    private static let redrawInterval = Duration.milliseconds(100)
    /// Before this much is done, a remaining time is a guess.
    private static let fractionForEstimate = 0.02

    private struct State {
        var begun: ContinuousClock.Instant?
        var drawn: ContinuousClock.Instant?
    }
    private let state = Mutex(State())

    /// Shows where the daemon is with `name`.
    func show(_ report: ReadingReport, of name: String) {
        guard Terminal.errorIsTerminal else { return }
        state.withLock { state in
            let now = ContinuousClock.now
            if let drawn = state.drawn, now - drawn < Self.redrawInterval { return }
            state.drawn = now
            switch report {
            case .queued(let ahead):
                draw(ahead == 0 ? "\(name): waiting" : "\(name): waiting behind \(counted(ahead, "document"))")
            case .working(let progress):
                let begun = state.begun ?? now
                state.begun = begun
                let done = progress.fraction.isFinite ? min(max(progress.fraction, 0), 1) : 0
                let elapsed = Formats.seconds(now - begun)
                let estimate = done < Self.fractionForEstimate ? nil : elapsed * (1 - done) / done
                let verb = progress.phase == "prefill" ? "reading" : progress.phase
                let text =
                    progress.phase == "check"
                    ? "checking \(name)"
                    : "\(Int(done * 100)) %  \(verb) \(name), layer \(progress.layer) of \(progress.layers)"
                draw(text + (estimate.map { ", \(Formats.duration($0)) left" } ?? ""), fraction: done)
            }
        }
    }

    /// Shows how many of how many are done.
    func show(_ number: Int, of total: Int, _ text: String) {
        guard Terminal.errorIsTerminal else { return }
        state.withLock { state in
            let now = ContinuousClock.now
            if let drawn = state.drawn, now - drawn < Self.redrawInterval { return }
            state.drawn = now
            draw(
                "\(Formats.count(number)) of \(Formats.count(total)), \(text)",
                fraction: Double(number) / Double(max(total, 1)))
        }
    }

    /// Takes the line away, so that what is written next stands at its beginning.
    func clear() {
        state.withLock { state in
            guard state.drawn != nil else { return }
            state = State()
            Terminal.control("\r\u{1B}[K")
        }
    }

    private func draw(_ text: String, fraction: Double? = nil) {
        let room = Terminal.columns - 1 - (fraction == nil ? 0 : Self.barWidth + 1)
        let bar = fraction.map { Self.bar($0) + " " } ?? ""
        Terminal.control("\r\u{1B}[K" + bar + Terminal.printable(text).prefix(max(room, 0)))
    }

    private static func bar(_ fraction: Double) -> String {
        let done = Int(fraction * Double(barWidth))
        let (full, rest) = (String(repeating: "█", count: done), String(repeating: "░", count: barWidth - done))
        return Terminal.errorHasColor ? "\u{1B}[1m\(full)\u{1B}[0;2m\(rest)\u{1B}[0m" : full + rest
    }
}
