import S3
import Testing

@Suite struct PercentEncodingTests {
    @Test func everythingButUnreservedCharactersIsEncoded() {
        for byte in UInt8(0)..<128 {
            let character = String(UnicodeScalar(byte))
            let isKept =
                character.first.map { $0.isASCII && ($0.isLetter || $0.isNumber || "-._~".contains($0)) }
                == true
            let hexadecimal = String(byte, radix: 16, uppercase: true)
            let encoded = "%" + (byte < 16 ? "0" : "") + hexadecimal
            #expect(PercentEncoding.encode(character, keepsSlash: false) == (isKept ? character : encoded))
        }
        #expect(PercentEncoding.encode("a/b c+é", keepsSlash: true) == "a/b%20c%2B%C3%A9")
        #expect(PercentEncoding.encode("a/b", keepsSlash: false) == "a%2Fb")
    }

    @Test func whatWasEncodedIsDecoded() {
        let text = "a/b c+é%\u{0}\u{10FFFF}e\u{301}"
        let decoded = PercentEncoding.decode(
            PercentEncoding.encode(text, keepsSlash: false), plusIsSpace: true)
        #expect(decoded.map { Array($0.utf8) } == Array(text.utf8))
    }

    @Test func aPlusIsASpaceInAQueryAlone() {
        #expect(PercentEncoding.decode("a+b%2B", plusIsSpace: true) == "a b+")
        #expect(PercentEncoding.decode("a+b%2b", plusIsSpace: false) == "a+b+")
    }

    @Test(arguments: ["%", "%4", "%4g", "a%zz", "%%41", "%-1", "%+1", "%C3", "%FF", "%ED%A0%80", "%C0%80"])
    func aBadEscapeOrWhatIsNotUTF8IsNoText(text: String) {
        #expect(PercentEncoding.decode(text, plusIsSpace: false) == nil)
    }
}
