/// Makes new inputs of known ones, by the few changes that fuzzers find most with.
package struct Mutator {
    private static let byteLimit = 64 * 1024
    private static let telling: [[UInt8]] = [
        "", "\0", "\r\n", "\n", "\"", "'", "<", ">", "&", "&#0;", "<![CDATA[", "]]>", "<!--", "%", "%00",
        "%2F", "%zz", "+",
        "=", ";", ":", "/", "//", "..", ",", "-", "*", "**", "?", "${", "}", "{", "[", "]", "\\u", "\\ud800",
        "null", "0",
        "-1", "9223372036854775807", "9223372036854775808", "18446744073709551615", "ffffffffffffffff",
        "7fffffffffffffff",
        "1e309", "bytes=", "é", "😀", "e\u{301}", "\u{FEFF}",
    ].map { Array($0.utf8) }

    private let corpus: [[UInt8]]
    private var random: SeededGenerator

    package init(corpus: [[UInt8]], seed: UInt64) {
        self.corpus = corpus
        random = SeededGenerator(seed: seed)
    }

    private mutating func below(_ limit: Int) -> Int {
        limit == 0 ? 0 : Int.random(in: 0..<limit, using: &random)
    }
    private mutating func one() -> [UInt8] { corpus[below(corpus.count)] }

    private mutating func range(of input: [UInt8]) -> Range<Int> {
        let start = below(input.count + 1)
        return start..<start + below(min(input.count - start, 64) + 1)
    }

    package mutating func next() -> [UInt8] {
        var input = one()
        for _ in 0...below(4) {
            switch below(8) {
            case 0 where !input.isEmpty: input[below(input.count)] ^= 1 << UInt8(below(8))
            case 1 where !input.isEmpty: input[below(input.count)] = UInt8(below(256))
            case 2:
                input.insert(contentsOf: Self.telling[below(Self.telling.count)], at: below(input.count + 1))
            case 3: input.removeSubrange(range(of: input))
            case 4: input.replaceSubrange(range(of: input), with: Self.telling[below(Self.telling.count)])
            case 5: input.insert(contentsOf: input[range(of: input)], at: below(input.count + 1))
            case 6:
                let other = one()
                input = Array(input[..<below(input.count + 1)] + other[below(other.count + 1)...])
            default:
                let piece = Array(input[range(of: input)])
                let at = below(input.count + 1)
                for _ in 0..<below(64) where input.count < Self.byteLimit {
                    input.insert(contentsOf: piece, at: at)
                }
            }
        }
        return Array(input.prefix(Self.byteLimit))
    }
}
