// The search for the smallest budget that holds.

import Inference
import Testing

@Suite("Budget search") struct BudgetSearchTests {
    private func run(_ budgets: [Int], startsSmall: Bool, holds: (Int) -> Bool) -> (found: Int?, tried: [Int]) {
        var search = BudgetSearch(budgets, startsSmall: startsSmall)
        var tried: [Int] = []
        while let next = search.next {
            tried.append(next)
            search.note(holds: holds(next))
        }
        return (search.found, tried)
    }

    @Test("finds the smallest budget that holds, in no more trials than the logarithm of their number")
    func smallest() {
        for count in 1...9 {
            let budgets = (1...count).map { $0 * 10 }
            for least in stride(from: 5, through: count * 10 + 5, by: 10) {
                for startsSmall in [false, true] {
                    let (found, tried) = run(budgets, startsSmall: startsSmall) { $0 >= least }
                    #expect(found == budgets.first { $0 >= least })
                    #expect(tried.count <= 4 + (startsSmall ? 1 : 0))
                    #expect(Set(tried).count == tried.count)
                    // So that there is something to keep where none holds.
                    if found == nil { #expect(tried.last == budgets.last) }
                }
            }
        }
    }

    @Test("the budget that was asked for is tried first where it is likely to hold")
    func small() {
        #expect(run([5, 10, 20], startsSmall: true) { _ in true }.tried == [5])
        #expect(run([5, 10, 20], startsSmall: true) { $0 > 5 }.tried == [5, 20, 10])
    }

    @Test("where a smaller budget holds and a larger does not, what is found holds all the same")
    func unsteady() {
        for pattern in 0..<512 {
            let holds = { (budget: Int) in pattern >> (budget - 1) & 1 == 1 }
            let found = run(Array(1...9), startsSmall: false, holds: holds).found
            #expect(found.map(holds) ?? true)
        }
    }
}
