// What the system says of its memory, in the two places where it says it.

import Testing
import Transformer

@Suite struct AvailableMemoryTests {
    @Test("memory is read of the machine, or of its nodes where a service does not see the machine's")
    func texts() {
        let machine = "MemTotal:       16384 kB\nMemFree:         1024 kB\nMemAvailable:    8192 kB\n"
        #expect(AvailableMemory.machineBytes(machine) == 8192 << 10)
        let node = """
            Node 1 MemTotal:       16384 kB
            Node 1 MemFree:         1024 kB
            Node 1 Active:          9999 kB
            Node 1 Active(file):     512 kB
            Node 1 Inactive(file):   256 kB
            Node 1 SReclaimable:     128 kB
            """
        #expect(AvailableMemory.nodeBytes(node) == 1920 << 10)
        for text in ["", "MemAvailable:", "MemAvailable: much kB", "Node 0 MemFree:"] {
            #expect(AvailableMemory.machineBytes(text) == nil && AvailableMemory.nodeBytes(text) == nil)
        }
    }

    @Test("this machine says what it has")
    func here() { #expect(AvailableMemory.bytes() > 0) }
}
