/// For how long the other side has failed one delivery, and said so each time.
///
/// The time between two answers counts, if no attempt between them was without one: while nobody answers, nothing is known of
/// the delivery, and an outage alone gives nothing up.
struct FailedDelivery: CustomStringConvertible {
    private(set) var seconds = 0.0
    /// When it was said last, if it was by the last attempt.
    private var answered: Double?
    /// How often a record by itself has still to fail.
    private var answersLeft = 0

    mutating func add(isAnswer: Bool, at now: Double) {
        guard isAnswer else {
            answered = nil
            return
        }
        if let answered { seconds += now - answered }
        answered = now
        answersLeft -= 1
    }

    /// Nothing suggests any more that it will be taken.
    var isHopeless: Bool { seconds >= Sink.failureSeconds && answersLeft <= 0 }

    /// For each record of it by itself, which is tried as often as if it were refused.
    var ofOneRecord: FailedDelivery {
        var one = self
        one.answered = nil
        one.answersLeft = Sink.refusalCount
        return one
    }

    var description: String { "again and again for \(Int(seconds / 3600)) hours" }
}
