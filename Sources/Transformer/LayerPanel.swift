// One layer's weights as floats: dequantised once per layer, for all the rows of a document.

/// Room for the dequantised matrices of a layer, and the region that fills it.
final class LayerPanel {
    private let memory: FloatBuffer
    /// One view per matrix of `ModelLayer.matrices`: in `memory`, or in the file where it holds floats.
    private(set) var matrices: [Floats] = []

    /// Rows of a matrix that one task dequantises.
    private static let taskRows = 128

    init(_ model: Model) throws(ModelError) {
        var largest = 0
        for layer in model.layers {
            largest = max(largest, layer.matrices.reduce(0) { $0 + ($1.stored == nil ? $1.elements : 0) })
        }
        memory = try FloatBuffer(largest)
    }

    private struct Fill {
        let matrices: [Linear]
        let panels: [Floats]

        func run(_ task: Int) {
            var task = task
            for (matrix, panel) in zip(matrices, panels) where matrix.stored == nil {
                let tasks = (matrix.outputs + LayerPanel.taskRows - 1) / LayerPanel.taskRows
                if task < tasks {
                    let first = task * LayerPanel.taskRows
                    let rows = min(LayerPanel.taskRows, matrix.outputs - first)
                    matrix.dequantise(from: first, into: panel.slice(first * matrix.inputs, rows * matrix.inputs))
                    return
                }
                task -= tasks
            }
        }
    }

    /// Dequantises the matrices of `layer`.
    func fill(from layer: ModelLayer, pool: WorkerPool) {
        let linears = layer.matrices
        var offset = 0
        var tasks = 0
        matrices = linears.map { linear in
            if let stored = linear.stored { return stored }
            defer { offset += linear.elements }
            tasks += (linear.outputs + Self.taskRows - 1) / Self.taskRows
            return memory.floats.slice(offset, linear.elements)
        }
        var fill = Fill(matrices: linears, panels: matrices)
        unsafe pool.run(tasks, on: &fill) { fill, task, _ in unsafe fill.pointee.run(task) }
    }
}
