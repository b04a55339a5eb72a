// Views of float memory and the buffers that own it: where the module's raw pointers live.

import Glibc

/// A view of `count` consecutive floats, valid while the buffer or file it was taken from lives.
///
/// Slices and subscripts are bounds-checked; kernels get `base` after the caller has shown the extent with a slice.
@safe package struct Floats: @unchecked Sendable {
    // Unchecked: a task of a region writes only what its index owns; regions take turns.
    @unsafe package let base: UnsafeMutablePointer<Float>
    package let count: Int

    package init(_ base: UnsafeMutablePointer<Float>, count: Int) {
        unsafe self.base = unsafe base
        self.count = count
    }

    /// The `count` floats from `offset` on.
    @inline(__always)
    package func slice(_ offset: Int, _ count: Int) -> Floats {
        precondition(offset >= 0 && count >= 0 && offset <= self.count - count, "slice outside its buffer")
        return unsafe Floats(base + offset, count: count)
    }

    package subscript(index: Int) -> Float {
        @inline(__always) get {
            precondition(index >= 0 && index < count, "index outside its buffer")
            return unsafe base[index]
        }
        @inline(__always) nonmutating set {
            precondition(index >= 0 && index < count, "index outside its buffer")
            unsafe base[index] = newValue
        }
    }

    package func fill(_ value: Float) {
        unsafe base.update(repeating: value, count: count)
    }

    /// Multiplies every one of them.
    package func multiply(by scale: Float) {
        guard scale != 1 else { return }
        for index in 0..<count { unsafe base[index] *= scale }
    }

    package func copy(from source: Floats) {
        precondition(source.count == count, "copies are of equal length")
        unsafe base.update(from: source.base, count: count)
    }

    package var array: [Float] { unsafe Array(UnsafeBufferPointer(start: base, count: count)) }

    /// Lends the floats as a span.
    package func withSpan<Result, Failure: Error>(
        _ body: (Span<Float>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(unsafe UnsafeBufferPointer(start: base, count: count).span)
    }
}

/// Zeroed float memory, 64-byte aligned, freed with its owner.
package final class FloatBuffer: Sendable {
    package let floats: Floats

    package init(_ count: Int) throws(ModelError) {
        let bytes = max(count, 1).multipliedReportingOverflow(by: MemoryLayout<Float>.stride)
        var memory: UnsafeMutableRawPointer?
        guard count >= 0, !bytes.overflow, unsafe posix_memalign(&memory, 64, bytes.partialValue) == 0,
            let memory = unsafe memory
        else { throw .outOfMemory(bytes: bytes.partialValue) }
        let floats = unsafe memory.bindMemory(to: Float.self, capacity: max(count, 1))
        unsafe floats.initialize(repeating: 0, count: max(count, 1))
        unsafe self.floats = Floats(floats, count: count)
    }

    /// A copy of them.
    package var array: [Float] { withExtendedLifetime(self) { floats.array } }

    /// `count` of them from `first` on, in memory of their own; itself where that is all.
    func part(from first: Int, _ count: Int) throws(ModelError) -> FloatBuffer {
        guard count < floats.count else { return self }
        let part = try FloatBuffer(count)
        part.floats.copy(from: floats.slice(first, count))
        return part
    }

    deinit { unsafe free(floats.base) }
}

/// A fixed number of plain values that tasks of a region write to, each at its own indices.
@safe final class Cells<Element: BitwiseCopyable & Sendable>: @unchecked Sendable {
    // Unchecked: a task of a region writes only at its own indices.
    let base: UnsafeMutablePointer<Element>
    let count: Int

    init(_ count: Int, of value: Element) {
        self.count = count
        unsafe base = UnsafeMutablePointer<Element>.allocate(capacity: count)
        unsafe base.initialize(repeating: value, count: count)
    }

    deinit { unsafe base.deallocate() }

    subscript(index: Int) -> Element {
        get {
            precondition(index >= 0 && index < count, "index outside its cells")
            return unsafe base[index]
        }
        set {
            precondition(index >= 0 && index < count, "index outside its cells")
            unsafe base[index] = newValue
        }
    }
}
