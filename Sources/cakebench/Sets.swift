// cakebench sets: the instruction sets of this processor that the kernels are compiled for.

import ArgumentParser
import Transformer

struct Sets: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists the instruction sets that this processor computes with, the one in use marked.",
        discussion: """
            The names are what CAKED_KERNELS takes, in every program and in the tests: CAKED_KERNELS=avx2 cakebench \
            decode \
            ... Products of bytes: quantised weights are multiplied as integers. Products of bfloats: so is attention, \
            while many rows are read. Without --quiet a line says what a set has.
            """)

    @Flag(name: .long, help: "Print the names alone.") var quiet = false

    func run() throws {
        _ = try WorkerPool(threads: 1)  // refuses a CAKED_KERNELS that could not be followed
        for set in KernelSet.available {
            print(quiet ? set.name : "\(set)\(set == .current ? ", in use" : "")")
        }
    }
}
