/// A set of events, a bit for each up to the last: 12 MB for a hundred million.
package struct EventSet: Sendable {
    private var words: [UInt64] = []

    package init() {}

    package var isEmpty: Bool { words.isEmpty }

    package var first: SequenceNumber? {
        guard let index = words.firstIndex(where: { $0 != 0 }) else { return nil }
        return SequenceNumber(UInt64(index) * 64 + UInt64(words[index].trailingZeroBitCount))
    }

    package func contains(_ sequence: SequenceNumber) -> Bool {
        let index = Int(sequence.rawValue / 64)
        return index < words.count && words[index] & (1 << (sequence.rawValue % 64)) != 0
    }

    package mutating func insert(_ sequence: SequenceNumber) {
        let index = Int(sequence.rawValue / 64)
        if index >= words.count {
            words.append(contentsOf: repeatElement(0, count: index + 1 - words.count))
        }
        words[index] |= 1 << (sequence.rawValue % 64)
    }
}
