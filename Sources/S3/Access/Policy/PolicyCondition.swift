/// One operator, one key and the values it is compared with.
///
/// A request's value compares if it does with one of the policy's values; with a negated operator, if it does with none.
struct PolicyCondition: Sendable {
    /// A value of the policy, in the type of its operator.
    private enum Operand: Sendable {
        case pattern(PolicyPattern)
        case number(Double, PolicyOperator.Order)
        case seconds(Double, PolicyOperator.Order)
        case boolean(Bool)
        case binary([UInt8])
        case addresses(AddressRange)
        case isAbsent(Bool)
    }

    private let test: PolicyOperator
    /// In lower case.
    private let key: String
    private let operands: [Operand]
    private let ignoresCase: Bool
    private let isARN: Bool

    // MARK: Reading

    /// The conditions of an element `Condition`.
    /// - Throws: `MalformedPolicy`.
    static func all(
        _ value: JSONValue, kind: PolicyDocument.Kind, hasVariables: Bool
    ) throws -> [PolicyCondition] {
        guard case .object(let operators) = value else {
            throw S3Error.malformedPolicy("Syntax errors in policy", "Condition")
        }
        var conditions: [PolicyCondition] = []
        for (name, value) in operators {
            guard let test = PolicyOperator(name) else {
                throw S3Error.malformedPolicy("Invalid Condition type", name)
            }
            guard case .object(let keys) = value else {
                throw S3Error.malformedPolicy("Syntax errors in policy", name)
            }
            var seen: Set<String> = []
            for (key, value) in keys {
                let lower = key.lowercased()
                guard PolicyConditionKey.isKnown(lower, kind) else {
                    throw S3Error.malformedPolicy("Policy has an invalid condition key", key)
                }
                guard seen.insert(lower).inserted else {
                    throw S3Error.malformedPolicy("The condition key is there twice", key)
                }
                conditions.append(
                    try PolicyCondition(test, key: lower, value, name: name, hasVariables: hasVariables))
            }
        }
        return conditions
    }

    private init(
        _ test: PolicyOperator, key: String, _ value: JSONValue, name: String, hasVariables: Bool
    ) throws {
        self.test = test
        self.key = key
        if case .string(ignoresCase: true) = test.comparison {
            ignoresCase = true
        } else {
            ignoresCase = false
        }
        if case .arn = test.comparison { isARN = true } else { isARN = false }
        let list: [JSONValue] = if case .array(let list) = value { list } else { [value] }
        guard !list.isEmpty else {
            throw S3Error.malformedPolicy("The condition has no value", "\(name) \(key)")
        }
        operands = try list.map { value in
            let text: String
            switch value {
            case .string(let string), .number(let string): text = string
            case .boolean(let boolean): text = boolean ? "true" : "false"
            case .object, .array, .null: throw S3Error.malformedPolicy("Invalid condition value", key)
            }
            guard let operand = try Self.operand(text, test.comparison, hasVariables) else {
                throw S3Error.malformedPolicy("Invalid value of \(name)", text)
            }
            return operand
        }
    }

    private static func operand(
        _ text: String, _ comparison: PolicyOperator.Comparison, _ hasVariables: Bool
    ) throws -> Operand? {
        switch comparison {
        case .string(let ignoresCase):
            return .pattern(
                try PolicyPattern(
                    ignoresCase && !(hasVariables && text.contains("${")) ? text.lowercased() : text,
                    hasWildcards: false, hasVariables: hasVariables))
        case .like:
            return .pattern(try PolicyPattern(text, hasWildcards: true, hasVariables: hasVariables))
        case .arn:
            let pattern = try PolicyPattern(text, hasWildcards: true, hasVariables: hasVariables)
            let isARN = text.split(separator: ":", omittingEmptySubsequences: false).count >= 6
            return isARN || text == "*" || pattern.hasVariables ? .pattern(pattern) : nil
        case .numeric(let order): return PolicyValue.number(text).map { .number($0, order) }
        case .date(let order): return PolicyValue.seconds(text).map { .seconds($0, order) }
        case .boolean: return PolicyValue.boolean(text).map { .boolean($0) }
        case .binary: return PolicyValue.binary(text).map { .binary($0) }
        case .address: return AddressRange(text).map { .addresses($0) }
        case .null: return PolicyValue.boolean(text).map { .isAbsent($0) }
        }
    }

    // MARK: Evaluation

    /// - Parameter unresolved: what a negated operator comes to when a variable of its values has none: so that the doubt
    ///   is on the side that allows less.
    func holds(_ context: PolicyContext, unresolved: Bool) -> Bool {
        let values = context.values(key)
        if case .null = test.comparison {
            return operands.contains {
                if case .isAbsent(let expected) = $0 { expected == (values == nil) } else { false }
            }
        }
        // An empty list of values is as good as no key.
        guard let values, !values.isEmpty else {
            switch test.quantifier {
            case .none: return test.ifExists || test.isNegated
            case .anyOf: return test.ifExists
            case .allOf: return true
            }
        }
        var isUnresolved = false
        func compares(_ value: String) -> Bool {
            operands.contains { operand in
                guard let compares = compare(value, operand, context) else {
                    isUnresolved = true
                    return false
                }
                return compares
            }
        }
        let holds =
            switch test.quantifier {
            case .none: values.contains(where: compares) != test.isNegated
            case .anyOf: values.contains { compares($0) != test.isNegated }
            case .allOf: values.allSatisfy { compares($0) != test.isNegated }
            }
        return holds && test.isNegated && isUnresolved ? unresolved : holds
    }

    /// `nil` if a variable has no value.
    private func compare(_ value: String, _ operand: Operand, _ context: PolicyContext) -> Bool? {
        switch operand {
        case .pattern(let pattern):
            guard var symbols = pattern.symbols(context) else { return nil }
            if isARN { return Self.matchesARN(symbols, value) }
            guard ignoresCase else { return PolicyPattern.matches(symbols[...], Array(value.utf8)[...]) }
            // What a variable stands for has its own case.
            if pattern.hasVariables { symbols = Self.lowercased(symbols) }
            return PolicyPattern.matches(symbols[...], Array(value.lowercased().utf8)[...])
        case .number(let number, let order):
            return PolicyValue.number(value).map { order.holds($0, number) } ?? false
        case .seconds(let seconds, let order):
            return PolicyValue.seconds(value).map { order.holds($0, seconds) } ?? false
        case .boolean(let boolean): return PolicyValue.boolean(value) == boolean
        case .binary(let bytes): return PolicyValue.binary(value) == bytes
        case .addresses(let range): return AddressRange.address(value).map(range.contains) ?? false
        case .isAbsent: return false
        }
    }

    /// Only bytes are here: the operators that ignore case have no wildcards.
    private static func lowercased(_ symbols: [PolicyPattern.Symbol]) -> [PolicyPattern.Symbol] {
        String(decoding: symbols.map { UInt8(truncatingIfNeeded: $0) }, as: UTF8.self)
            .lowercased().utf8.map { PolicyPattern.Symbol($0) }
    }

    /// Each of the six parts for itself: a `*` does not reach across a colon of the first five.
    private static func matchesARN(_ pattern: [PolicyPattern.Symbol], _ value: String) -> Bool {
        if pattern == [PolicyPattern.any] { return true }
        let colon = UInt8(ascii: ":")
        let parts = pattern.split(
            separator: PolicyPattern.Symbol(colon), maxSplits: 5, omittingEmptySubsequences: false)
        let texts = Array(value.utf8).split(separator: colon, maxSplits: 5, omittingEmptySubsequences: false)
        return parts.count == 6 && texts.count == 6
            && zip(parts, texts).allSatisfy { PolicyPattern.matches($0, $1) }
    }

    // MARK: Publicity

    /// Whether it lets only fixed askers in, so that a policy for everyone is not public for all that.
    var limitsWhoMayAsk: Bool {
        guard !test.isNegated, !test.ifExists, test.quantifier != .allOf else { return false }
        let isSourceIP = key == "aws:sourceip"
        return operands.allSatisfy { operand in
            switch operand {
            case .addresses(let range): isSourceIP && range.isNarrow
            case .pattern(let pattern):
                PolicyConditionKey.limiting.contains(key)
                    && (pattern.isFixed || isFixedAccessPoint(pattern.text))
            case .number, .seconds, .boolean, .binary, .isAbsent: false
            }
        }
    }

    /// The name of an access point may have a wildcard while its account is fixed.
    private func isFixedAccessPoint(_ text: String) -> Bool {
        guard key == "s3:dataaccesspointarn" else { return false }
        let parts = text.split(separator: ":", maxSplits: 5, omittingEmptySubsequences: false)
        return parts.count == 6 && parts[4].utf8.count == 12
            && parts[4].utf8.allSatisfy { (0x30...0x39).contains($0) }
    }
}
