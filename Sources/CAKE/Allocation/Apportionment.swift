// Whole budgets from real-valued ones (Webster's divisor method, as parliaments round their seats).
//
// A layer's k-th entry has a price, the λ at which its real-valued budget reaches k − 1/2; the total buys the cheapest
// entries, after the floors. So there is one order of all entries, and every result is the beginning of it. A new layer
// only takes from the others. A smaller budget only takes from the end: with one entry a layer less, the floors give
// back at most as many. Hence whole budgets never grow along the cascade nor when a document is shrunk, and both end
// exactly where the final budget alone would have: rounding by largest remainder, which may give a slot to a layer as
// the total falls (the Alabama paradox), does not.

/// Shares whole entries among layers.
package struct Apportionment {
    /// Entries to share; all that the caps allow, when that is less.
    package let total: Int
    /// What each layer gets in any case; together no more than the total.
    package let floors: [Int]
    /// What each layer can hold.
    package let caps: [Int]

    /// States what is shared.
    package init(total: Int, floors: [Int], caps: [Int]) {
        precondition(floors.count == caps.count && zip(floors, caps).allSatisfy { 0...$1 ~= $0 })
        (self.total, self.floors, self.caps) = (total, floors, caps)
    }

    /// The whole budget of each layer.
    ///
    /// - Parameters:
    ///   - guess: where to begin; the result does not depend on it, the time does.
    ///   - price: of a layer's slot, from 1; it rises with the slot. Ties go to the lower layer.
    package func counts(near guess: [Double], price: (_ layer: Int, _ slot: Int) -> Double) -> [Int] {
        var counts = guess.indices.map { min(max(Int(guess[$0].rounded()), floors[$0]), caps[$0]) }
        var spent = counts.reduce(0, +)
        while true {
            var (cheapest, dearest): (Offer?, Offer?)
            for layer in counts.indices {
                if counts[layer] < caps[layer] {
                    let next = Offer(price: price(layer, counts[layer] + 1), layer: layer)
                    cheapest = min(cheapest ?? next, next)
                }
                if counts[layer] > floors[layer] {
                    let last = Offer(price: price(layer, counts[layer]), layer: layer)
                    dearest = max(dearest ?? last, last)
                }
            }
            if spent > total, let dearest {
                counts[dearest.layer] -= 1
                spent -= 1
            } else if spent < total, let cheapest {
                counts[cheapest.layer] += 1
                spent += 1
            } else if let cheapest, let dearest, cheapest < dearest {
                counts[cheapest.layer] += 1
                counts[dearest.layer] -= 1
            } else {
                return counts
            }
        }
    }

    private struct Offer: Comparable {
        var price: Double
        var layer: Int

        static func < (one: Offer, other: Offer) -> Bool {
            (one.price, one.layer) < (other.price, other.layer)
        }
    }
}
