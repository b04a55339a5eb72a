// The syntax tree of a template.

/// An expression.
///
/// Chains of operators and of postfixes are flat, so that only real nesting makes a tree deep.
indirect enum Expression: Sendable {
    case text(Text)
    case integer(Int)
    case float(Double)
    case bool(Bool)
    case none
    case name(String)
    case list([Expression])
    case tuple([Expression])
    case dict([Entry])
    case postfixed(Expression, [Postfix])
    case negative(Expression)
    case positive(Expression)
    case not(Expression)
    case arithmetic(Expression, [Operation])
    case concat([Expression])
    case comparison(Expression, [Operation])
    case any([Expression])
    case all([Expression])
    /// A value where a condition holds, and where it doesn't.
    case conditional(condition: Expression, then: Expression, otherwise: Expression?)

    struct Entry: Sendable {
        let key: Expression
        let value: Expression
    }

    /// An operator and its right side.
    struct Operation: Sendable {
        let `operator`: Operator
        let operand: Expression
    }

    enum Operator: String, Sendable {
        case add = "+"
        case subtract = "-"
        case multiply = "*"
        case divide = "/"
        case floorDivide = "//"
        case remainder = "%"
        case power = "** or pow()"
        case equal = "=="
        case notEqual = "!="
        case less = "<"
        case lessOrEqual = "<="
        case greater = ">"
        case greaterOrEqual = ">="
        case `in`
        case notIn = "not in"
    }

    /// What stands behind a value.
    enum Postfix: Sendable {
        case attribute(String)
        case item(Expression)
        case slice(Expression?, Expression?, Expression?)
        case call(Arguments)
        case filter(Filter)
        case test(name: String, Arguments, isNegated: Bool)
    }

    struct Filter: Sendable {
        let name: String
        let arguments: Arguments
    }

    struct Arguments: Sendable {
        var positional: [Expression] = []
        var named: [(name: String, value: Expression)] = []
        /// What `*args` unpacks.
        var unpackedList: Expression?
        /// What `**kwargs` unpacks.
        var unpackedDict: Expression?
    }
}

/// What is assigned to.
indirect enum Target: Sendable {
    case name(String)
    case tuple([Target])
    case attribute(of: String, String)
}

/// A statement and its line.
struct Statement: Sendable {
    indirect enum Kind: Sendable {
        case data(Text)
        case output(Expression)
        case set(Target, Expression)
        case setBlock(Target, [Expression.Filter], [Statement])
        case condition([Branch], otherwise: [Statement])
        case loop(Loop)
        case macro(Macro)
        /// The macro is what `caller()` runs.
        case callBlock(Macro, Expression)
        case filterBlock([Expression.Filter], [Statement])
        case with([(Target, Expression)], [Statement])
        case scope([Statement])
        case breakLoop
        case continueLoop
    }

    struct Branch: Sendable {
        let condition: Expression
        let body: [Statement]
    }

    struct Loop: Sendable {
        let target: Target
        let sequence: Expression
        let filter: Expression?
        let body: [Statement]
        let otherwise: [Statement]
    }

    struct Macro: Sendable {
        let name: String
        let parameters: [Parameter]
        let body: [Statement]
        /// Whether the body uses the names that catch what no parameter takes.
        let takesMore: Bool
        let takesMoreNamed: Bool
    }

    struct Parameter: Sendable {
        let name: String
        let standard: Expression?
    }

    let line: Int
    let kind: Kind
}
