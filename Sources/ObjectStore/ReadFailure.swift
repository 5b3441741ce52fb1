import Model

/// What the volumes answered to a read that none of them could serve: whether the bytes are lost, or may be on a
/// volume that did not answer.
struct ReadFailure {
    private var flawed: [VolumeHandle] = []
    private var evidence: [String] = []

    /// The volume was asked, and its replica is bad.
    mutating func flaw(_ handle: VolumeHandle, _ error: any Error) {
        flawed.append(handle)
        evidence.append("volume \(handle.index): \(error)")
    }

    /// The volume did not answer: its replica may be good.
    mutating func silence(_ handle: VolumeHandle, _ error: any Error) {
        evidence.append("volume \(handle.index): \(error)")
    }

    /// - Parameter place: the part of the version that could not be read.
    /// - Returns: ``StoreError/lost(_:evidence:)`` only if every volume was asked and its replica is bad. What one said
    ///   that has left service since does not count: it may have been its disk that was ill, not the replica.
    func error(_ version: ObjectVersion, _ place: String, _ volumes: VolumeSet) -> StoreError {
        let bad = Set(flawed.filter { volumes.handle($0.index) === $0 }.map(\.index))
        var said = evidence
        let silent = (1...Limits.volumeCount).filter { !bad.contains($0) }
        let absent = silent.filter { volumes.handle($0) == nil }
        if !absent.isEmpty {
            said.append("out of service: volume \(absent.map(String.init).joined(separator: ", "))")
        }
        let text = "\(place): \(said.joined(separator: "; "))"
        return silent.isEmpty ? .lost(version, evidence: text) : .notReadable(version, evidence: text)
    }
}
