import Foundation
import S3
import Testing

@Suite struct XMLElementTests {
    private static func parse(_ text: String, root: String = "Delete") throws -> XMLElement {
        try XMLElement.parse(Array(text.utf8), root: root)
    }

    private static func code(_ bytes: [UInt8], root: String = "Delete") -> String? {
        do {
            _ = try XMLElement.parse(bytes, root: root)
            return nil
        } catch { return (error as? S3Error)?.code.name ?? "\(error)" }
    }

    private static let document = """
        <?xml version="1.0" encoding="UTF-8"?>
        <Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
          <!-- two of them -->
          <Object><Key>a &amp; b</Key><VersionId> v1 </VersionId></Object>
          <Object><Key>caf\u{E9} e\u{301}</Key></Object>
          <Quiet>true</Quiet>
        </Delete>
        """

    @Test func elementsAreFoundByNameWithTheirText() throws {
        let root = try Self.parse(Self.document)
        #expect(root.all("Object").count == 2)
        #expect(root.child("Object")?.child("Key")?.text == "a & b")
        #expect(root.child("Object")?.value("VersionId") == "v1", "blanks at the ends go")
        #expect(root.value("Quiet") == "true")
        #expect(root.value("None") == nil)
        let key = try #require(root.all("Object").last?.child("Key")?.text)
        #expect(Array(key.utf8) == Array("caf\u{E9} e\u{301}".utf8), "a key's form is kept")
    }

    @Test func prefixesNamespacesAndCDATAAreTaken() throws {
        let root = try Self.parse(
            "<s3:Delete xmlns:s3=\"http://s3.amazonaws.com/doc/2006-03-01/\"><s3:Object a='b'><s3:Key><![CDATA[<&>]]>x</s3:Key></s3:Object></s3:Delete>"
        )
        #expect(root.child("Object")?.child("Key")?.text == "<&>x")
        #expect(try Self.parse("<Delete/>").children.isEmpty)
        #expect(try Self.parse("\u{FEFF}<Delete/>").children.isEmpty, "a byte order mark")
    }

    @Test func everyLineEndIsALineFeed() throws {
        #expect(try Self.parse("<Delete>a\r\nb\rc\nd\r\r\n&#13;</Delete>").text == "a\nb\nc\nd\n\n\r")
        #expect(try Self.parse("<Delete><![CDATA[a\r\nb]]></Delete>").text == "a\nb")
    }

    @Test func theFiveEntitiesAndReferencesAreResolved() throws {
        let root = try Self.parse("<Delete>&lt;&gt;&amp;&quot;&apos;&#65;&#x1F600;&#xA;</Delete>")
        #expect(root.text == "<>&\"'A\u{1F600}\n")
    }

    @Test(arguments: [
        "", " ", "text", "<Delete>", "</Delete>", "<Delete></Other>", "<Delete/><Delete/>", "<Delete/>text",
        "<Delete><Object></Delete></Object>", "<Delete>&nbsp;</Delete>", "<Delete>&</Delete>",

        "<Delete>&#xD800;</Delete>", "<Delete a=1/>", "<Delete a='1' a='2'/>", "<Delete><</Delete>",
        "<delete/>",
        "<Other/>", "<Delete>\u{1}</Delete>", "<Delete>\u{0}</Delete>", "{\"a\": 1}", "<1/>",
        "<Delete>]]></Delete>",
        "<Delete><![CDATA[x</Delete>", "<Delete><!-- -- --></Delete>", "<Delete><s3:Key/></Delete>x",
    ])
    func whatIsNoSuchDocumentIsMalformed(text: String) {
        #expect(Self.code(Array(text.utf8)) == "MalformedXML")
    }

    @Test func aDocumentThatIsCutAnywhereIsMalformed() {
        let bytes = Array(Self.document.utf8)
        for end in 0..<bytes.count {
            #expect(Self.code(Array(bytes[..<end])) == "MalformedXML", "cut at \(end)")
        }
        #expect(Self.code(bytes) == nil)
    }

    @Test func bytesThatAreNotUTF8AreMalformed() {
        for bytes in [[0xFF], [0xC3], [0xED, 0xA0, 0x80], [0xC0, 0x80]] as [[UInt8]] {
            #expect(Self.code(Array("<Delete>".utf8) + bytes + Array("</Delete>".utf8)) == "MalformedXML")
        }
    }

    @Test(arguments: [
        "<!DOCTYPE Delete><Delete/>", "<!DOCTYPE Delete [<!ENTITY a \"b\">]><Delete>&a;</Delete>",
        "<?xml version='1.0'?>\n<!DOCTYPE Delete SYSTEM \"file:///etc/passwd\"><Delete/>",
        "<!DOCTYPE Delete [<!ENTITY x SYSTEM \"file:///etc/hostname\">]><Delete>&x;</Delete>",
    ])
    func aDocumentTypeIsRefusedInEveryEncoding(text: String) throws {
        #expect(Self.code(Array(text.utf8)) == "MalformedXML")
        for encoding in [String.Encoding.utf16, .utf16LittleEndian, .utf16BigEndian, .utf32LittleEndian] {
            let data = try #require(text.data(using: encoding))
            #expect(Self.code(Array(data)) == "MalformedXML", "\(encoding)")
        }
    }

    @Test(arguments: ["UTF-7", "UTF-16", "IBM037", "ISO-8859-1", "Shift_JIS", "nonsense"])
    func anEncodingOtherThanUTF8IsRefused(encoding: String) {
        let text = "<?xml version=\"1.0\" encoding=\"\(encoding)\"?>\n<Delete/>"
        #expect(Self.code(Array(text.utf8)) == "MalformedXML")
        let sevenBit =
            "<?xml version=\"1.0\" encoding=\"\(encoding)\"?>\n+ADwAIQ-DOCTYPE Delete [+ADwAIQ-ENTITY a \"b\"+AD4]+AD4<Delete>&a;</Delete>"
        #expect(Self.code(Array(sevenBit.utf8)) == "MalformedXML")
    }

    @Test(arguments: ["utf-8", "UTF-8", "us-ascii", "US-ASCII"])
    func namesOfUTF8AreTaken(encoding: String) {
        #expect(Self.code(Array("<?xml version='1.0' encoding='\(encoding)'?><Delete/>".utf8)) == nil)
    }

    @Test func depthIsLimited() {
        func nested(_ depth: Int) -> [UInt8] {
            let inner =
                String(repeating: "<a>", count: depth - 1) + String(repeating: "</a>", count: depth - 1)
            return Array("<Delete>\(inner)</Delete>".utf8)
        }
        #expect(Self.code(nested(16)) == nil)
        #expect(Self.code(nested(17)) == "MalformedXML")
        #expect(Self.code(nested(100_000)) == "MalformedXML")
    }

    @Test func theCountOfElementsIsLimited() {
        func wide(_ count: Int) -> [UInt8] {
            Array("<Delete>\(String(repeating: "<a/>", count: count))</Delete>".utf8)
        }
        #expect(Self.code(wide(90_000)) == nil, "10,000 parts, each with its number, ETag and checksums")
        #expect(Self.code(wide(500_000)) == "MalformedXML")
    }
}

@Suite struct XMLWriterTests {
    @Test func aDocumentIsWrittenAsS3WritesIt() {
        let xml = XMLWriter("Result") { xml in
            xml.element("Name", "a")
            xml.element("Inner") { $0.text("t") }
        }
        #expect(
            String(decoding: xml.bytes, as: UTF8.self)
                == "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Result xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>a</Name><Inner>t</Inner></Result>"
        )
        let error = XMLWriter("Error", isNamespaced: false) { $0.element("Code", "X") }
        #expect(String(decoding: error.bytes, as: UTF8.self).hasSuffix("\n<Error><Code>X</Code></Error>"))
    }

    @Test func textThatHasMarkupIsEscapedAndReadBack() throws {
        let text = "<a href=\"x\">&amp; 'b' ]]> \t\n\r é e\u{301} \u{10FFFF}"
        let xml = XMLWriter("Result") { $0.element("Key", text) }
        let read = try XMLElement.parse(xml.bytes, root: "Result").child("Key")?.text
        #expect(read.map { Array($0.utf8) } == Array(text.utf8))
    }

    @Test func aKeyThatWasListedCanBeNamedAgain() throws {
        let text = String(String.UnicodeScalarView((0..<0x100).compactMap(UnicodeScalar.init)))
        let xml = XMLWriter("Result") { $0.element("Key", text) }
        let read = try XMLElement.parse(xml.bytes, root: "Result").child("Key")?.text
        #expect(read.map { Array($0.utf8) } == Array(text.utf8), "control characters, too")
    }

    @Test func controlCharactersBecomeReferences() {
        let xml = XMLWriter("R", isNamespaced: false) { $0.element("Key", "\u{0}\u{1}\u{8}\u{B}\u{1F}\r\n") }
        #expect(
            String(decoding: xml.bytes, as: UTF8.self).hasSuffix(
                "<Key>&#x0;&#x1;&#x8;&#xb;&#x1f;&#xd;\n</Key></R>"))
    }
}
