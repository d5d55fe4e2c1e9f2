from fraktur import in_fraktur


def test_s_is_long_where_a_letter_follows_and_hyphens_are_double():
    given = ["Das Wasser, Seins-Fragen (1870-71); aus", "Aus- und Ein-"]
    assert list(in_fraktur(given)) == ["Das Waſſer, Seins⸗Fragen (1870-71); aus", "Aus⸗ und Ein⸗"]
