// How the total budget is shared: among the layers, and among the heads of a layer.

extension Method {
    /// How the total budget is shared among the layers.
    public enum Allocation: Sendable, Hashable, Codable {
        /// Every layer keeps every entry, whatever the budget.
        case everything
        /// Every layer gets the average.
        case uniform
        /// Falling from layer to layer in equal steps, down to about the average / `beta` (PyramidKV; see `Pyramid`).
        case pyramid(beta: Int)
        /// In proportion to the layer's preference H^(1/tau1) · V^(1/tau2), but no less than `floorShare` of the
        /// average (CAKE; see `WaterFilling`).
        case cake(tau1: Double, tau2: Double, floorShare: Double)
        /// One ranking over all layers and heads, but no less than `floorShare` of the average for each head (KVzip;
        /// see `GlobalRanking`).
        case global(floorShare: Double)
        /// One ranking over all layers and heads, but no less for a layer's heads than CAKE gives the layer of `share`
        /// of the budget, nor than `floorShare` (at most `share`) of the average: preferences guard a layer's part, and
        /// entries compete for the rest.
        case guardedGlobal(tau1: Double, tau2: Double, share: Double, floorShare: Double)

        /// The exponents of the layers' preferences; nil where there are none.
        package var exponents: (tau1: Double, tau2: Double)? {
            switch self {
            case .cake(let tau1, let tau2, _), .guardedGlobal(let tau1, let tau2, _, _): (tau1, tau2)
            case .everything, .uniform, .pyramid, .global: nil
            }
        }

        /// Whether one ranking over all layers and heads decides, so that every count may differ.
        package var isGlobal: Bool {
            switch self {
            case .global, .guardedGlobal: true
            case .everything, .uniform, .pyramid, .cake: false
            }
        }
    }

    /// How a layer's budget is shared among its KV heads.
    public enum HeadShares: Sendable, Hashable, Codable {
        /// Equally many entries each.
        case equal
        /// By one ranking over the layer's heads, so that counts differ (ragged), but no less than `safeguard` of the
        /// layer's average for each (Ada-KV; see `HeadRanking`).
        case compete(safeguard: Double)
    }
}
