// One layer's weights made ready for dense products: once per layer, for all the rows of a document.

/// Room for the panels of a layer, and the region that fills it.
final class LayerPanel {
    private let memory: FloatBuffer
    /// One panel per matrix of `ModelLayer.matrices`: in `memory`, or in the file where it holds floats.
    private(set) var matrices: [DensePanel] = []

    /// Rows of a matrix that one task fills.
    private static let taskRows = 128

    init(_ model: Model) throws(ModelError) {
        var largest = 0
        for layer in model.layers {
            largest = max(largest, layer.matrices.reduce(0) { $0 + ($1.stored == nil ? $1.panelSize : 0) })
        }
        memory = try FloatBuffer(largest)
    }

    private struct Fill {
        let matrices: [Linear]
        let panels: [DensePanel]

        func run(_ task: Int) {
            var task = task
            for (matrix, panel) in zip(matrices, panels) where matrix.stored == nil {
                let tasks = (matrix.outputs + LayerPanel.taskRows - 1) / LayerPanel.taskRows
                if task < tasks {
                    let first = task * LayerPanel.taskRows
                    matrix.fill(panel.slice(first, min(LayerPanel.taskRows, matrix.outputs - first)), from: first)
                    return
                }
                task -= tasks
            }
        }
    }

    /// Makes the matrices of `layer` ready.
    func fill(from layer: ModelLayer, pool: WorkerPool) {
        let linears = layer.matrices
        var offset = 0
        var tasks = 0
        matrices = linears.map { linear in
            if let stored = linear.stored { return stored }
            defer { offset += linear.panelSize }
            tasks += (linear.outputs + Self.taskRows - 1) / Self.taskRows
            return linear.panel(
                in: memory.floats.slice(offset, linear.panelSize), outputs: linear.outputs,
                isInteger: linear.isInteger)
        }
        var fill = Fill(matrices: linears, panels: matrices)
        unsafe pool.run(tasks, on: &fill) { fill, task, _ in unsafe fill.pointee.run(task) }
    }
}
