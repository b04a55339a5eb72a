// The average over neighbouring tokens that keeps the surroundings of an important one (CAKE §4.2).

/// Average pooling with stride 1.
package enum Pooling {
    /// Averages each value with its neighbours in its row; beyond the ends are zeros, which count in the mean.
    ///
    /// - Parameter width: odd; the released code uses 5.
    package static func average(_ values: [Float], rowLength: Int, width: Int) -> [Float] {
        precondition(width > 0 && width % 2 == 1, "the pool must be centred")
        var pooled = [Float](repeating: 0, count: values.count)
        let reach = width / 2
        for index in values.indices {
            let column = index % rowLength
            let neighbours = index - min(reach, column)...index + min(reach, rowLength - 1 - column)
            pooled[index] = neighbours.reduce(Float(0)) { $0 + values[$1] } / Float(width)
        }
        return pooled
    }
}
