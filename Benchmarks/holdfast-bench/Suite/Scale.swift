/// How long a run takes, and how much it stores.
struct Scale: Sendable {
    /// Seconds of each phase of load.
    let phase: Double
    /// Seconds of each measurement of a limit.
    let limit: Double
    /// Objects of 64 MiB that are put and got.
    let largeCount: Int
    /// Keys of the store that is listed, checked and rebuilt.
    let smallCount: Int

    static let full = Scale(phase: 8, limit: 4, largeCount: 24, smallCount: 100_000)
    static let quick = Scale(phase: 1.2, limit: 1, largeCount: 8, smallCount: 20_000)
}
