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

    /// A mean over five neighbours with the weights 1/4, 1/2, 1, 1/2 and 1/4; beyond the ends are zeros, which count in
    /// it.
    package static func halving(_ values: [Float], rowLength: Int) -> [Float] {
        var pooled = [Float](repeating: 0, count: values.count)
        for index in values.indices {
            let column = index % rowLength
            func value(_ distance: Int) -> Float {
                0..<rowLength ~= column + distance ? values[index + distance] : 0
            }
            let (near, far) = (value(-1) + value(1), value(-2) + value(2))
            pooled[index] = (values[index] + near / 2 + far / 4) / 2.5
        }
        return pooled
    }
}
