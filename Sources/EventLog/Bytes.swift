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

func slice(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: bytes[range])
}
