import Foundation
import HTTPTypes
import ObjectStore
import S3
import Testing

@Suite struct FormReaderTests {
    private static let type = "multipart/form-data; boundary=XX"

    private static func part(_ name: String, _ value: String) -> String {
        "--XX\r\nContent-Disposition: form-data; name=\"\(name)\"\r\n\r\n\(value)\r\n"
    }

    private static func file(_ content: String, _ fileName: String = "a.txt") -> String {
        "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"\(fileName)\"\r\nContent-Type: text/plain\r\n\r\n\(content)\r\n"
    }

    private struct Outcome: Equatable {
        var fields: [String: String] = [:]
        var fileName = ""
        var content: [UInt8] = []
        /// The S3 error code; `nil` for a good form.
        var code: String?
    }

    private static func read(_ body: [UInt8], by size: Int, type: String? = type) async -> Outcome {
        let pieces = stride(from: 0, to: body.count, by: size).map {
            Array(body[$0..<min($0 + size, body.count)])
        }
        var outcome = Outcome()
        do {
            let reader = try FormReader(Pieces(pieces), contentType: type)
            let fields = try await reader.fields()
            outcome.fields = fields.values
            outcome.fileName = fields.fileName
            while let chunk = try await reader.next() {
                chunk.withUnsafeBytes { outcome.content.append(contentsOf: $0) }
            }
        } catch { outcome.code = (error as? S3Error)?.code.name ?? "\(error)" }
        return outcome
    }

    private static func read(_ body: String, type: String? = type) async -> Outcome {
        await read(Array(body.utf8), by: 7, type: type)
    }

    /// Content that has every beginning of the delimiter in it.
    private static let nasty = "\r\n--X\r\n-\r\r\n\r\n--\r\n\r--XX\r\n--XY\r\n"

    @Test(arguments: [1, 2, 3, 5, 8, 64, 100_000])
    func aFormIsTheSameInPiecesOfAnySize(size: Int) async {
        let text =
            "a preamble\r\n" + Self.part("Key", "user/${filename}") + Self.part("x-amz-meta-é", "a\r\nb")
            + Self.part("empty", "") + Self.file(Self.nasty) + Self.part("late", "ignored") + "--XX--\r\n"
        let outcome = await Self.read(Array(text.utf8), by: size)
        #expect(
            outcome
                == Outcome(
                    fields: ["key": "user/${filename}", "x-amz-meta-é": "a\r\nb", "empty": ""],
                    fileName: "a.txt", content: Array(Self.nasty.utf8)))
    }

    @Test func aLargeFileComesWhole() async {
        let content = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 3) }
        let body =
            Array((Self.part("key", "k") + "--XX\r\nContent-Disposition: form-data; name=file\r\n\r\n").utf8)
            + content + Array("\r\n--XX--".utf8)
        for size in [1000, 65_536, 2_000_000] {
            let outcome = await Self.read(body, by: size)
            #expect(outcome.content == content && outcome.code == nil && outcome.fileName.isEmpty)
        }
    }

    @Test(
        arguments: [
            ("multipart/form-data; boundary=\"XX\"", nil),
            ("Multipart/Form-Data;charset=utf-8; BOUNDARY=XX", nil),
            ("multipart/form-data", "MalformedPOSTRequest"),
            ("multipart/form-data; boundary=", "MalformedPOSTRequest"),
            ("multipart/form-data; boundary=\(String(repeating: "x", count: 300))", "MalformedPOSTRequest"),
            ("multipart/mixed; boundary=XX", "PreconditionFailed"), ("text/plain", "PreconditionFailed"),
            ("", "PreconditionFailed"), (nil, "PreconditionFailed"),
        ] as [(String?, String?)])
    func theTypeSaysThatItIsAForm(type: String?, code: String?) async {
        #expect(await Self.read(Self.file("x") + "--XX--\r\n", type: type).code == code)
    }

    private static let long = String(repeating: "p", count: 30_000)
    private static let form = file("x")

    private static let flawed: [(String, String)] = [
        ("", "MalformedPOSTRequest"), ("no form at all", "MalformedPOSTRequest"),
        ("--XX--\r\n", "InvalidArgument"), (part("key", "k") + "--XX--\r\n", "InvalidArgument"),
        (part("key", "k") + part("KEY", "k") + file("x") + "--XX--", "InvalidArgument"),
        ("--XX\r\n\r\nvalue\r\n--XX--\r\n", "MalformedPOSTRequest"),
        ("--XX\r\nContent-Disposition: form-data\r\n\r\nx\r\n--XX--\r\n", "MalformedPOSTRequest"),
        ("--XX\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--XX--\r\n", "MalformedPOSTRequest"),
        ("--XX\r\nno header\r\n\r\nx\r\n--XX--\r\n", "MalformedPOSTRequest"),
        ("--XXY\r\n" + part("key", "k"), "MalformedPOSTRequest"),
        (file("x"), "MalformedPOSTRequest"), (file("x") + "--XX", "MalformedPOSTRequest"),
        (file("x") + "--XXY", "MalformedPOSTRequest"), (String(form.dropLast(3)), "MalformedPOSTRequest"),
        (part("key", long) + file("x"), "MaxPostPreDataLengthExceeded"),
        (part("k", "v"), "MalformedPOSTRequest"),
        (long, "MaxPostPreDataLengthExceeded"),
        ("--XX\r\nX: " + long, "MaxPostPreDataLengthExceeded"),
    ]

    @Test(arguments: flawed)
    func whatIsNoFormIsRefused(body: String, code: String) async {
        #expect(await Self.read(body).code == code)
    }

    @Test func aFieldThatIsNoTextIsRefused() async {
        let body =
            Array("--XX\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n".utf8)
            + [0xC3, 0x28] + Array("\r\n\(Self.file("x"))--XX--".utf8)
        #expect(await Self.read(body, by: 10).code == "MalformedPOSTRequest")
    }

    @Test func manySmallFieldsTogetherMayNotBeTooLarge() async {
        let many = (0..<400).map { Self.part("x-ignore-\($0)", "v") }.joined()
        #expect(await Self.read(many + Self.file("x") + "--XX--").code == "MaxPostPreDataLengthExceeded")
        let some = (0..<200).map { Self.part("x-ignore-\($0)", "v") }.joined()
        #expect(await Self.read(some + Self.file("x") + "--XX--").fields.count == 200)
    }

    @Test(arguments: [
        ("a.txt", "a.txt"), ("C:\\path\\to\\a.txt", "a.txt"), ("path/to/a.txt", "a.txt"), ("", ""),
        ("a%22b.txt", "a\"b.txt"), ("a\\\"b.txt", "a\"b.txt"), ("a;b=c.txt", "a;b=c.txt"),
        ("ä é.txt", "ä é.txt"),
        ("path/", ""),
    ])
    func theNameOfTheFileIsTheLastPartOfItsPath(sent: String, name: String) async throws {
        let outcome = await Self.read(Self.part("key", "in/${filename}") + Self.file("x", sent) + "--XX--")
        #expect(outcome.fileName == name)
        var fields = FormFields()
        try fields.add("key", "in/${filename}")
        try fields.add("policy", "${filename}")
        fields.fileName = outcome.fileName
        #expect(fields.namingFile()["key"] == "in/\(name)" && fields.namingFile()["policy"] == "${filename}")
    }

    @Test func fieldsBecomeTheHeadersOfAPut() throws {
        var fields = FormFields()
        for (field, value) in [
            ("Content-Type", "text/html"), ("x-amz-meta-a", "1"), ("acl", "public-read"), ("key", "k"),
            ("x-amz-signature", "s"), ("x-amz-copy-source", "/other/object"),
            ("success_action_status", "201"),
            (
                "tagging",
                "<Tagging><TagSet><Tag><Key>a b</Key><Value>1&amp;2</Value></Tag></TagSet></Tagging>"
            ),
        ] { try fields.add(field, value) }
        let headers = try fields.headers()
        #expect(
            headers.map { "\($0.name.canonicalName): \($0.value)" }.sorted() == [
                "content-type: text/html", "x-amz-acl: public-read", "x-amz-meta-a: 1",
                "x-amz-tagging: a%20b=1%262",
            ])
    }

    @Test(arguments: [
        ("x-amz-meta-a b", "v", "InvalidArgument"), ("x-amz-meta-a", "v\r\nInjected: 1", "InvalidArgument"),
        ("Content-Type", "a\u{0}", "InvalidArgument"), ("tagging", "<Tagging>", "MalformedXML"),
    ])
    func aFieldThatNoHeaderCanHoldIsRefused(field: String, value: String, code: String) throws {
        var fields = FormFields()
        try fields.add(field, value)
        do {
            _ = try fields.headers()
            Issue.record("it was taken")
        } catch let error as S3Error { #expect(error.code.name == code) }
    }
}
