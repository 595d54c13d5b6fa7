//! What servers are in the habit of.

/// The habit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Odd {
    /// None: what the others are compared with.
    No,
    /// Every row comes, whatever is asked for.
    IgnoresFilters,
    /// 200 and no row, whatever is asked for.
    FindsNothing,
    /// PATCH and PUT: 200 with the resource as it was.
    DoesNothing,
    /// PATCH and PUT: 204, and nothing else.
    DoesNothingQuietly,
    /// PATCH and PUT: 200 with the resource as it should be, which is kept nowhere.
    OnlyEchoes,
    /// The id of a user is its userName, also after a rename.
    IdIsName,
    /// A member that is added twice is there twice.
    KeepsCopies,
    /// Ten rows a page; past the end, the first page again.
    StartsOver,
    /// No group ever shows its members.
    HidesMembers,
    /// The list of groups leaves the members out; one group by itself shows them.
    ListsWithoutMembers,
    /// No group ever shows its members, and members are not removed by a filter.
    HidesMembersAndRefusesFilters,
    /// At most seven members in one request (413).
    TakesFewMembers,
    /// No PATCH, and versions: a PUT without the right If-Match answers 412.
    WantsVersions,
    /// The same, and every version is wrong.
    LiesAboutVersions,
    /// A change without the right If-Match answers 428.
    RequiresIfMatch,
    /// A PATCH says `"False"` of active, or is refused.
    WantsText,
    /// Operations begin with a capital, or are refused.
    WantsCapitals,
    /// Groups know no PATCH.
    PatchesUsersOnly,
    /// A user keeps its name, whatever it is told.
    KeepsNames,
    /// No externalId of a user is kept.
    KeepsNoExternalId,
    /// `startIndex` is 0 for the first row.
    CountsFromZero,
    /// `startIndex` is the number of a page.
    CountsPages,
    /// A create is answered 200.
    CreatesWith200,
    /// Two groups may bear one name.
    TakesOneNameTwice,
    /// Inactive accounts are shown to nobody, neither in lists nor by themselves; they can be written to.
    HidesInactive,
    /// A create of what is there is answered with that, and this status.
    AnswersWithWhatIsThere(u16),
    /// An externalId is kept in braces.
    PutsIdsInBraces,
    /// A userName is given once: PATCH of it answers 400 with `mutability`.
    FixesNames,
    /// A create of what is there writes to it and is answered 201.
    Upserts,
    /// A create is answered 200, whether it is new or was there; no externalId is kept, and nothing says when it was made.
    SaysNothing,
    /// A create with an address of somebody who is there is answered 200 with them, whatever their name is.
    AnswersByAddress,
    /// PATCH answers 405, which is announced nowhere.
    KnowsNoPatch,
}
