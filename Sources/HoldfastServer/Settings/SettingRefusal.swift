/// Why a setting's value makes no sense. Which setting it is and where it was set, ``SettingError`` says before it.
struct SettingRefusal: Error {
    let reason: String

    init(_ reason: String) { self.reason = reason }
}

extension String {
    /// The whole number that a setting's value is, and that the setting can be.
    func number(in range: ClosedRange<Int>) throws(SettingRefusal) -> Int {
        guard let number = Int(self), range.contains(number) else {
            throw SettingRefusal(
                "is '\(self)': it must be a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// Whether a setting is on, by its value.
    func truth() throws(SettingRefusal) -> Bool {
        guard let truth = Bool(self) else { throw SettingRefusal("is '\(self)': it must be true or false") }
        return truth
    }
}
