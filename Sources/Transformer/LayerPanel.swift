// One layer's weights made ready for dense products: once per layer, for all the rows of a document.

/// Room for the panels of a layer, where the model does not keep them.
final class LayerPanel {
    private let memory: FloatBuffer
    /// In the order of `LayerMatrix`.
    private var panels: [DensePanel] = []

    init(_ model: Model) throws(ModelError) {
        var largest = 0
        for layer in model.layers {
            largest = max(largest, layer.matrices.reduce(0) { $0 + ($1.prepared == nil ? $1.panelSize : 0) })
        }
        memory = try FloatBuffer(largest)
    }

    subscript(_ matrix: LayerMatrix) -> DensePanel { panels[matrix.rawValue] }

    /// Makes the matrices of `layer` ready.
    func fill(from layer: ModelLayer, pool: WorkerPool) {
        var fill = PanelFill()
        var offset = 0
        panels = layer.matrices.map { linear in
            if let prepared = linear.prepared { return prepared }
            defer { offset += linear.panelSize }
            return fill.add(linear, in: memory.floats.slice(offset, linear.panelSize))
        }
        fill.run(on: pool)
    }
}

/// The region that fills panels of whole matrices.
struct PanelFill {
    private var matrices: [(linear: Linear, panel: DensePanel, firstTask: Int)] = []
    private var tasks = 0

    /// Rows of a matrix that one task fills.
    private static let taskRows = 128

    /// Plans to fill a panel of `linear` in `memory`; returns it.
    mutating func add(_ linear: Linear, in memory: Floats) -> DensePanel {
        let panel = linear.panel(in: memory, outputs: linear.outputs)
        matrices.append((linear, panel, tasks))
        tasks += (linear.outputs + Self.taskRows - 1) / Self.taskRows
        return panel
    }

    mutating func run(on pool: WorkerPool) {
        unsafe pool.run(tasks, on: &self) { fill, task, _ in unsafe fill.pointee.run(task) }
    }

    private func run(_ task: Int) {
        guard let matrix = matrices.last(where: { $0.firstTask <= task }) else { return }
        let first = (task - matrix.firstTask) * Self.taskRows
        let count = min(Self.taskRows, matrix.linear.outputs - first)
        matrix.linear.fill(matrix.panel.slice(first, count), from: first)
    }
}
