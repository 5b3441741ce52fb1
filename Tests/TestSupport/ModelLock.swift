extension StoreModel {
    /// The lock of a version, as the model has it. Time does not pass in it: retention has ended long ago or lasts.
    package struct Lock: Hashable, Sendable {
        package enum Mode: Hashable, Sendable { case governance, compliance }

        package var mode: Mode?
        /// In microseconds, as the engine counts them.
        package var until: UInt64 = 0
        package var isHeld = false

        /// Retention until before this is over, and until after it is not, however long a test runs.
        package static let present: UInt64 = 1 << 50

        package init(mode: Mode? = nil, until: UInt64 = 0, isHeld: Bool = false) {
            self.mode = mode
            self.until = until
            self.isHeld = isHeld
        }

        func holds(bypass: Bool) -> Bool { isHeld || isRetained(bypass: bypass) }

        private func isRetained(bypass: Bool) -> Bool {
            switch mode {
            case nil: false
            case .governance: !bypass && until > Self.present
            case .compliance: until > Self.present
            }
        }

        func mayBecome(_ other: Lock, bypass: Bool) -> Bool {
            !isRetained(bypass: bypass) || (other.mode == mode && other.until >= until)
        }
    }
}
