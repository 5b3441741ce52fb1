/// A condition operator: `ForAnyValue:StringNotLikeIfExists`.
///
/// Source: IAM User Guide, "IAM JSON policy elements: Condition operators".
struct PolicyOperator: Sendable {
    enum Comparison: Sendable {
        case string(ignoresCase: Bool)
        case like
        case arn
        case numeric(Order)
        case date(Order)
        case boolean
        case binary
        case address
        /// Whether the key is absent.
        case null
    }

    enum Order: Sendable {
        case equal, less, lessOrEqual, greater, greaterOrEqual

        func holds(_ left: Double, _ right: Double) -> Bool {
            switch self {
            case .equal: left == right
            case .less: left < right
            case .lessOrEqual: left <= right
            case .greater: left > right
            case .greaterOrEqual: left >= right
            }
        }
    }

    /// Which of the request's values must compare.
    enum Quantifier: Sendable { case none, anyOf, allOf }

    let comparison: Comparison
    let isNegated: Bool
    let quantifier: Quantifier
    let ifExists: Bool

    /// `nil` for a name that is none.
    init?(_ name: String) {
        var base = name[...]
        if base.hasPrefix("ForAnyValue:") {
            quantifier = .anyOf
            base = base.dropFirst("ForAnyValue:".count)
        } else if base.hasPrefix("ForAllValues:") {
            quantifier = .allOf
            base = base.dropFirst("ForAllValues:".count)
        } else {
            quantifier = .none
        }
        ifExists = base.hasSuffix("IfExists")
        if ifExists { base = base.dropLast("IfExists".count) }
        guard let (comparison, isNegated) = Self.comparisons[String(base)] else { return nil }
        if case .null = comparison, ifExists || quantifier != .none { return nil }
        self.comparison = comparison
        self.isNegated = isNegated
    }

    private static let comparisons: [String: (Comparison, isNegated: Bool)] = [
        "StringEquals": (.string(ignoresCase: false), false),
        "StringNotEquals": (.string(ignoresCase: false), true),
        "StringEqualsIgnoreCase": (.string(ignoresCase: true), false),
        "StringNotEqualsIgnoreCase": (.string(ignoresCase: true), true),
        "StringLike": (.like, false),
        "StringNotLike": (.like, true),
        "ArnEquals": (.arn, false),
        "ArnLike": (.arn, false),
        "ArnNotEquals": (.arn, true),
        "ArnNotLike": (.arn, true),
        "NumericEquals": (.numeric(.equal), false),
        "NumericNotEquals": (.numeric(.equal), true),
        "NumericLessThan": (.numeric(.less), false),
        "NumericLessThanEquals": (.numeric(.lessOrEqual), false),
        "NumericGreaterThan": (.numeric(.greater), false),
        "NumericGreaterThanEquals": (.numeric(.greaterOrEqual), false),
        "DateEquals": (.date(.equal), false),
        "DateNotEquals": (.date(.equal), true),
        "DateLessThan": (.date(.less), false),
        "DateLessThanEquals": (.date(.lessOrEqual), false),
        "DateGreaterThan": (.date(.greater), false),
        "DateGreaterThanEquals": (.date(.greaterOrEqual), false),
        "Bool": (.boolean, false),
        "BinaryEquals": (.binary, false),
        "IpAddress": (.address, false),
        "NotIpAddress": (.address, true),
        "Null": (.null, false),
    ]
}
