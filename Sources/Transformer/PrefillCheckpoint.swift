// What a prefill leaves behind between two layers, so that another process can go on: in pieces, never held twice.

import CAKE

/// Checkpoints lie at the border of two layers, where all that counts is the residual stream, the kept entries and the
/// cascade's decisions. Going on from there computes the same cache bit for bit.
///
///     layers done, layers, tokens, KV heads, head width, bytes of 32 kept keys, bytes of the residual stream: u64 each
///     every layer done:  preference f64, then for every KV head: count u64, positions u32[count], indicators
///                        f32[count]
///     every layer done:  its kept rows
///     residual stream f32[rows, width]
///
/// Numbers are little-endian. Whoever stores it adds the checksum, and what tells one document, method and model from
/// another.
extension DocumentPrefill {
    /// Layers read, when the next step begins another one; nil in the middle of a layer, before the first and at the
    /// end.
    public var checkpointLayer: Int? {
        guard case .prepare = stage, layer > 0 else { return nil }
        return layer
    }

    /// How large a checkpoint is now, up to some kilobytes.
    public var checkpointBytes: Int {
        unsafe room.streamBytes.count + meter.currentBytes - room.layerRows.bufferBytes
    }

    /// Hands a checkpoint to `write`, piece by piece; no step may be made meanwhile.
    public func writeCheckpoint<Failure: Error>(
        _ write: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        precondition(checkpointLayer != nil, "a checkpoint lies between two layers")
        try unsafe put(dimensions, write)
        let progress = cascade.progress
        for (heads, preference) in zip(progress.heads, progress.preferences) {
            try unsafe put([preference.bitPattern.littleEndian], write)
            for head in heads {
                try unsafe put([UInt64(head.count).littleEndian], write)
                try unsafe put(head.positions, write)
                try unsafe put(head.indicators, write)
            }
        }
        for layer in kept { try unsafe write(layer.bytes) }
        try unsafe write(UnsafeRawBufferPointer(room.streamBytes))
    }

    /// Goes on from a checkpoint of a prefill with the same parameters, before the first step; `read` fills each piece
    /// it is given with the next bytes.
    ///
    /// Throws `ModelError.unusableCheckpoint`, or what `read` throws; this prefill is of no use then.
    public func resume(
        reading read: (UnsafeMutableRawBufferPointer) throws(ModelError) -> Void
    ) throws(ModelError) {
        precondition(layer == 0 && kept.isEmpty, "a prefill is resumed before its first step")
        func take<Element: BitwiseCopyable>(_ count: Int, _ zero: Element) throws(ModelError) -> [Element] {
            var values = Array(repeating: zero, count: count)
            try unsafe values.withUnsafeMutableBufferPointer { values throws(ModelError) in
                try unsafe read(UnsafeMutableRawBufferPointer(values))
            }
            return values
        }
        let found = try take(dimensions.count, UInt64(0))
        let done = Int(clamping: UInt64(littleEndian: found[0]))
        guard found.dropFirst() == dimensions.dropFirst(), (1..<layers).contains(done) else {
            throw .unusableCheckpoint("it belongs to a document or a model of another shape")
        }
        var heads: [[RankedEntries]] = []
        var preferences: [Double] = []
        for _ in 0..<done {
            preferences.append(Double(bitPattern: UInt64(littleEndian: try take(1, UInt64(0))[0])))
            var ranked: [RankedEntries] = []
            for _ in 0..<room.layerRows.heads {
                let count = Int(clamping: UInt64(littleEndian: try take(1, UInt64(0))[0]))
                guard count <= room.tokens else { throw .unusableCheckpoint("it keeps more entries than there are") }
                let positions = try take(count, UInt32(0))
                guard positions.allSatisfy({ Int($0) < room.tokens }) else {
                    throw .unusableCheckpoint("it keeps an entry beyond the document")
                }
                ranked.append(RankedEntries(positions: positions, indicators: try take(count, Float(0))))
            }
            heads.append(ranked)
        }
        for layer in heads {
            kept.append(
                try unsafe KeptLayer(
                    counts: layer.map(\.count), rows: rows, headWidth: room.layerRows.headWidth,
                    meter: meter, fill: read))
        }
        try unsafe read(room.streamBytes)
        cascade.resume(Cascade.Progress(heads: heads, preferences: preferences))
        layer = done
        work.finished(layers: done)
    }

    private func put<Element: BitwiseCopyable, Failure: Error>(
        _ values: [Element], _ write: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        try unsafe values.withUnsafeBufferPointer { values throws(Failure) in
            try unsafe write(UnsafeRawBufferPointer(values))
        }
    }

    private var dimensions: [UInt64] {
        let headWidth = room.layerRows.headWidth
        let sizes = [
            layer, layers, room.tokens, room.layerRows.heads, headWidth,
            rows.keyBytes(entries: 32, headWidth: headWidth),
            unsafe room.streamBytes.count,
        ]
        return sizes.map { UInt64($0).littleEndian }
    }
}
