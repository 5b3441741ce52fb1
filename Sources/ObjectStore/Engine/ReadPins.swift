import Model
import Synchronization

/// The events that readers under way see the store as of: what they may still read is not reclaimed.
///
/// Every read pins, on whichever thread, and only the reclaimer looks: so the pins are spread over stripes that
/// readers take in turn, and hardly ever wait for one another.
final class ReadPins: Sendable {
    private static let stripeCount = 16

    /// What one reader holds until it gives it back.
    struct Pin: Sendable {
        fileprivate let sequence: SequenceNumber
        fileprivate let stripe: Int
    }

    private final class Stripe: Sendable {
        let pins = Mutex<[SequenceNumber: Int]>([:])
    }

    private let stripes = (0..<stripeCount).map { _ in Stripe() }
    private let turn = Atomic<Int>(0)

    func pin(_ sequence: SequenceNumber) -> Pin {
        let stripe = turn.wrappingAdd(1, ordering: .relaxed).oldValue & (Self.stripeCount - 1)
        stripes[stripe].pins.withLock { $0[sequence, default: 0] += 1 }
        return Pin(sequence: sequence, stripe: stripe)
    }

    func unpin(_ pin: Pin) {
        stripes[pin.stripe].pins.withLock { pins in
            guard let count = pins[pin.sequence] else { preconditionFailure("a pin is released once") }
            pins[pin.sequence] = count == 1 ? nil : count - 1
        }
    }

    func oldest(else sequence: SequenceNumber) -> SequenceNumber {
        stripes.compactMap { $0.pins.withLock { $0.keys.min() } }.min() ?? sequence
    }
}
