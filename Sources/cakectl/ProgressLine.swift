// The one line on standard error that shows how far the daemon is.
import CakedClient
import Synchronization

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
    func show(_ progress: PutProgress, of name: String) {
        guard Terminal.errorIsTerminal else { return }
        state.withLock { state in
            let now = ContinuousClock.now
            if let drawn = state.drawn, now - drawn < Self.redrawInterval { return }
            state.drawn = now
            switch progress {
            case .queued(let ahead):
                draw(ahead == 0 ? "\(name): waiting" : "\(name): waiting behind \(counted(ahead, "document"))")
            case .working(let phase, let layer, let layers, let fraction):
                let begun = state.begun ?? now
                state.begun = begun
                let done = fraction.isFinite ? min(max(fraction, 0), 1) : 0
                let elapsed = Formats.seconds(now - begun)
                let estimate = done < Self.fractionForEstimate ? nil : elapsed * (1 - done) / done
                draw(
                    bar(done) + " \(Int(done * 100)) %  \(phase == "prefill" ? "reading" : phase) \(name), "
                        + "layer \(layer) of \(layers)"
                        + (estimate.map { ", \(Formats.duration($0)) left" } ?? ""))
            }
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

    private func draw(_ text: String) {
        let fitted = Terminal.printable(text).prefix(max(Terminal.columns - 1, 20))
        Terminal.control("\r\u{1B}[K" + fitted)
    }

    private func bar(_ fraction: Double) -> String {
        let full = Int(fraction * Double(Self.barWidth))
        let (full_, rest) = (String(repeating: "█", count: full), String(repeating: "░", count: Self.barWidth - full))
        return Terminal.errorHasColor ? "\u{1B}[1m\(full_)\u{1B}[0m\u{1B}[2m\(rest)\u{1B}[0m" : full_ + rest
    }
}
