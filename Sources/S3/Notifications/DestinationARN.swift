/// The name of a topic, a queue or a function: `arn:PARTITION:SERVICE:REGION:ACCOUNT:NAME`.
///
/// Source: AWS General Reference, "Amazon Resource Names (ARNs)"; the limits of names are those of each service.
enum DestinationARN {
    static func isWellFormed(_ text: String, _ kind: NotificationRules.Kind) -> Bool {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count >= 6, parts[0] == "arn", isPartition(parts[1]), isRegion(parts[3]),
            isAccount(parts[4])
        else { return false }
        let resource = parts[5...]
        switch kind {
        case .topic:
            return parts[2] == "sns" && resource.count == 1
                && isName(resource[5], limit: 256, mayBeFIFO: true)
        case .queue:
            return parts[2] == "sqs" && resource.count == 1 && isName(resource[5], limit: 80, mayBeFIFO: true)
        case .function:
            // `function:NAME`, or with a version or an alias behind it.
            return parts[2] == "lambda" && (2...3).contains(resource.count) && resource[5] == "function"
                && isName(resource[6], limit: 140, mayBeFIFO: false)
                && (resource.count == 2 || resource[7] == "$LATEST"
                    || isName(resource[7], limit: 128, mayBeFIFO: false))
        }
    }

    private static func isPartition(_ text: Substring) -> Bool {
        text == "aws" || (text.hasPrefix("aws-") && text.utf8.count > 4 && text.utf8.allSatisfy(isLabel))
    }

    private static func isRegion(_ text: Substring) -> Bool {
        !text.isEmpty && text.utf8.count <= 64 && text.utf8.allSatisfy(isLabel)
    }

    private static func isAccount(_ text: Substring) -> Bool {
        text.utf8.count == 12 && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
    }

    private static func isName(_ text: Substring, limit: Int, mayBeFIFO: Bool) -> Bool {
        guard (1...limit).contains(text.utf8.count) else { return false }
        let name = mayBeFIFO && text.hasSuffix(".fifo") ? text.dropLast(5) : text
        return !name.isEmpty
            && name.utf8.allSatisfy {
                isLabel($0) || (0x41...0x5A).contains($0) || $0 == UInt8(ascii: "_")
            }
    }

    private static func isLabel(_ byte: UInt8) -> Bool {
        (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == UInt8(ascii: "-")
    }
}
