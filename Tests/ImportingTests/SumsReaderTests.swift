import Importing
import Testing

@Suite struct SumsReaderTests {
    private static let md5 = "9e107d9d372bb6826bd81d3542a419d6"
    private static let sha256 = "d7a8fbb307d7809469ca9abcb0082e4f8d5651e46d3cdb762d02d0bf37c9e592"

    /// In pieces of a size that cuts lines anywhere.
    private func read(_ text: String, piece: Int) throws -> [ExpectedSum] {
        var rest = Array(text.utf8)[...]
        var reader = SumsReader { _ in
            defer { rest = rest.dropFirst(piece) }
            return Array(rest.prefix(piece))
        }
        var found: [ExpectedSum] = []
        while let sum = try reader.next() { found.append(sum) }
        return found
    }

    @Test(arguments: [1, 7, 64, 10_000])
    func allFormsOfTheTwoProgramsAreRead(piece: Int) throws {
        let text = """
            # made on Monday
            \(Self.sha256)  plain.txt
            \(Self.md5.uppercased()) *binary file.bin\r

            \(Self.sha256)  ./deep/er/a  b
            \\\(Self.md5)  with\\nnewline\\\\and\\rreturn
            SHA256 (tagged (1).txt) = \(Self.sha256)
            MD5 (tagged) = \(Self.md5)
            """
        let found = try read(text, piece: piece)
        #expect(
            found == [
                ExpectedSum(name: "plain.txt", digest: Self.sha256, line: 2),
                ExpectedSum(name: "binary file.bin", digest: Self.md5, line: 3),
                ExpectedSum(name: "deep/er/a  b", digest: Self.sha256, line: 5),
                ExpectedSum(name: "with\nnewline\\and\rreturn", digest: Self.md5, line: 6),
                ExpectedSum(name: "tagged (1).txt", digest: Self.sha256, line: 7),
                ExpectedSum(name: "tagged", digest: Self.md5, line: 8),
            ])
    }

    @Test(arguments: [
        "just text", "abc  name", "9e107d9d372bb6826bd81d3542a419dg  name",
        "9e107d9d372bb6826bd81d3542a419d6 name", "9e107d9d372bb6826bd81d3542a419d6  ",
        "SHA1 (name) = 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
    ])
    func aLineThatIsNoSumIsRefusedByItsNumber(line: String) throws {
        var message = ""
        do { _ = try read("\(Self.md5)  good\n\(line)\n", piece: 50) } catch { message = "\(error)" }
        #expect(message.contains("line 2"), "\(line): \(message)")
    }

    @Test func aLineThatNeverEndsIsRefused() throws {
        var message = ""
        do { _ = try read(String(repeating: "a", count: 40_000), piece: 1000) } catch { message = "\(error)" }
        #expect(message.contains("line 1") && message.contains("longer"), "\(message)")
    }
}
