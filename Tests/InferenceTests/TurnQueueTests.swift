// Users take turns, and each user's elements keep their order.

import Inference
import Testing

@Suite struct TurnQueueTests {
    @Test("a single element of a user comes right behind the next of another user's hundred")
    func burst() {
        var queue = TurnQueue<Int>()
        for element in 0..<100 { queue.append(element, of: 1) }
        #expect(queue.popFirst() == 0)
        queue.append(1000, of: 2)
        queue.append(1001, of: 2)
        queue.append(2000, of: 3)
        #expect((0..<6).map { _ in queue.popFirst() } == [1, 1000, 2000, 2, 1001, 3])
        #expect((4..<100).allSatisfy { queue.popFirst() == $0 })
        #expect(queue.popFirst() == nil)
        queue.append(7, of: 1)
        #expect(queue.popFirst() == 7 && queue.popFirst() == nil)
    }
}
