/// Integers in the log are little-endian, wherever the machine.
func load<Value: FixedWidthInteger>(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> Value {
    Value(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Value.self))
}

extension [UInt8] {
    mutating func store(_ value: some FixedWidthInteger, at offset: Int) {
        withUnsafeMutableBytes { buffer in
            Swift.withUnsafeBytes(of: value.littleEndian) { source in
                UnsafeMutableRawBufferPointer(rebasing: buffer[offset..<offset + source.count])
                    .copyMemory(from: source)
            }
        }
    }

    func bytes(_ range: Range<Int>) -> [UInt8] { Array(self[range]) }
}

/// The count of bytes up to the last one that is not zero. Zeros at the end are passed over a word at a time.
func usedByteCount(_ bytes: UnsafeRawBufferPointer) -> Int {
    var end = bytes.count
    while end >= 8, bytes.loadUnaligned(fromByteOffset: end - 8, as: UInt64.self) == 0 { end -= 8 }
    while end > 0, bytes[end - 1] == 0 { end -= 1 }
    return end
}

func slice(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: bytes[range])
}
